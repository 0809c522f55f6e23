"""Bytes of any image → 8-bit RGB pixels, as CVAT shows them to the annotator.

Upright (EXIF orientation applied), alpha dropped, CMYK and palettes converted, gray repeated in
three channels. Gray deeper than 8 bits is stretched from its darkest to its brightest value and
equalised, as CVAT does before it shows such a frame, so that model and annotator see the same.
Truncated files are decoded as far as possible, as CVAT shows them and lets people label them.
"""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from trainer.errors import ImageError

# A process-wide setting of Pillow. CVAT sets it too, so we decode what CVAT shows.
ImageFile.LOAD_TRUNCATED_IMAGES = True

RGBImage = NDArray[np.uint8]  # (H, W, 3)

# Pillow refuses images from 179 MP on; this limit is lower, so only one error can occur.
MAX_PIXELS = 150_000_000

_EXIF_ORIENTATION = 0x0112


def decode(data: bytes, *, upright: bool = True) -> RGBImage:
    """Decode an encoded image into (H, W, 3) uint8 RGB.

    upright: apply the EXIF orientation; False returns the pixels as stored. The missing part of a
    truncated file is black or gray. Raises ImageError for bytes that are not an image or too
    damaged to show, and for more than MAX_PIXELS pixels.
    """
    if not data:
        raise ImageError("the image has no bytes; expected an encoded image such as JPEG or PNG")
    try:
        image = _open(data)
        pixels = _decode_jpeg(data, image, upright=upright)
        return pixels if pixels is not None else _decode_any(image, upright=upright)
    except UnidentifiedImageError:
        raise ImageError(
            f"{len(data)} bytes in no image format that Pillow supports "
            f"(they start with {data[:8]!r})"
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"the image is larger than {MAX_PIXELS / 1e6:.0f} MP: {error}") from None
    # Pillow's decoders raise each of these for damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"the image is damaged or truncated: {error}") from error


def from_pillow(image: Image.Image) -> RGBImage:
    """Convert an image opened by Pillow into (H, W, 3) uint8 RGB, like decode.

    Raises ImageError for a damaged one: Pillow reads the pixels only now.
    """
    try:
        return _decode_any(image, upright=True)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise ImageError(f"the image is damaged or truncated: {error}") from error


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
    """Decode a plain 8-bit JPEG with OpenCV, a third faster than Pillow with the same result.

    None if the result could differ: other modes, a rotation, or a truncated file, which OpenCV
    fills differently.
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
        raise ImageError("the image contains no finite value")
    low, high = float(finite.min()), float(finite.max())
    values = np.clip(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
    scale = 255 / (high - low) if high > low else 0.0
    gray = Image.fromarray(((values - low) * scale).astype(np.uint8))
    return np.array(ImageOps.equalize(gray).convert("RGB"), np.uint8)
