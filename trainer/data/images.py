"""Bytes of any image → 8-bit RGB pixels, as CVAT shows them to the annotator.

Upright (EXIF orientation applied), alpha dropped, CMYK and palettes converted, gray repeated in
three channels. Gray deeper than 8 bits is stretched from its darkest to its brightest value and
equalised, as CVAT does before it shows such a frame, so that model and annotator see the same. Of a
file that was cut off, what there is is seen, as CVAT shows it and lets people label it.
"""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from trainer.errors import ImageError

# Pillow has it for the whole process or not at all. CVAT sets it too: what it shows, we see.
ImageFile.LOAD_TRUNCATED_IMAGES = True

RGBImage = NDArray[np.uint8]  # (H, W, 3)

# Pillow refuses from 179 MP on; ours is below that, so one limit counts and one error tells it.
MAX_PIXELS = 150_000_000

_EXIF_ORIENTATION = 0x0112


def decode(data: bytes, *, upright: bool = True) -> RGBImage:
    """Decode an encoded image into (H, W, 3) uint8 RGB.

    upright: apply the EXIF orientation; False gives the pixels as stored. What is missing of a file
    that was cut off is black or gray. Raises ImageError for bytes that are no image or too broken
    to show, and for more than MAX_PIXELS pixels.
    """
    if not data:
        raise ImageError("the image has no bytes; expected an encoded image such as JPEG or PNG")
    try:
        image = _open(data)
        pixels = _decode_jpeg(data, image, upright=upright)
        return pixels if pixels is not None else _decode_any(image, upright=upright)
    except UnidentifiedImageError:
        raise ImageError(
            f"{len(data)} bytes that are no image this build of Pillow knows "
            f"(they begin with {data[:8]!r})"
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"the image is larger than {MAX_PIXELS / 1e6:.0f} MP: {error}") from None
    # Pillow's decoders raise each of these for damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"the image is broken or cut off: {error}") from error


def from_pillow(image: Image.Image) -> RGBImage:
    """Convert an image that Pillow opened into (H, W, 3) uint8 RGB, as decode would.

    Raises ImageError for a broken or cut-off one: Pillow reads the pixels only now.
    """
    try:
        return _decode_any(image, upright=True)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise ImageError(f"the image is broken or cut off: {error}") from error


def _open(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data))
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageError(
            f"the image has {image.width} x {image.height} = {pixels / 1e6:.0f} MP; "
            f"at most {MAX_PIXELS / 1e6:.0f} MP are read. Scale it down or cut it into tiles"
        )
    return image


def _decode_jpeg(data: bytes, image: Image.Image, *, upright: bool) -> RGBImage | None:
    """Decode a plain 8-bit JPEG by OpenCV, a third quicker than Pillow and equal to it.

    None where the result could differ: other modes, a rotation, or a cut-off file, which OpenCV
    fills up in another way.
    """
    if image.format != "JPEG" or image.mode not in ("RGB", "L") or not data.endswith(b"\xff\xd9"):
        return None
    if upright and image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.shape != (image.height, image.width, 3):
        return None
    return np.asarray(pixels, np.uint8)


def _decode_any(image: Image.Image, *, upright: bool) -> RGBImage:
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _stretch(np.asarray(image, np.float64))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"), np.uint8)


def _stretch(values: NDArray[np.float64]) -> RGBImage:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ImageError("the image holds no value that is finite")
    low, high = float(finite.min()), float(finite.max())
    values = np.clip(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
    scale = 255 / (high - low) if high > low else 0.0
    gray = Image.fromarray(((values - low) * scale).astype(np.uint8))
    return np.array(ImageOps.equalize(gray).convert("RGB"), np.uint8)
