"""Limits of a request, enforced before any work is done."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from serverless.errors import BadRequestError, TooLargeError, UnreadableImageError
from trainer.data.images import MAX_PIXELS

MAX_POINTS = 256  # of all clicks and corners of a request; people set about a dozen
MAX_VALUES = 10_000  # in a body; the image counts as one
MAX_COORDINATE = 1e6  # pixels


def check_values(body: bytes | bytearray | str) -> None:
    """Raise BadRequestError for a body with too many values, without parsing it.

    Base64 contains none of the counted characters, so an image of any size counts as one value.
    """
    data = body.encode() if isinstance(body, str) else body
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        raise BadRequestError(f"the body contains more than {MAX_VALUES} values")


def check_points(*lists: int) -> None:
    """Raise BadRequestError when a request has too many points in total."""
    if sum(lists) > MAX_POINTS:
        raise BadRequestError(
            f"pos_points, neg_points and obj_bbox contain {sum(lists)} points in total;"
            f" the limit is {MAX_POINTS}"
        )


def pixels_of(image: bytes, *, most: int = MAX_PIXELS) -> int:
    """Return the number of pixels of an encoded image, from its header.

    Raises TooLargeError for more than `most`, UnreadableImageError for anything but an image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(image)) as opened:
                width, height = opened.size
    except Image.DecompressionBombError:
        raise TooLargeError(f"the image has more than {most / 1e6:.0f} megapixels") from None
    except UnidentifiedImageError:
        raise UnreadableImageError(
            f"the image cannot be read: {len(image)} bytes in no image format that Pillow supports"
        ) from None
    # Pillow's readers raise each of these for damaged headers.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise UnreadableImageError(f"the image cannot be read: {error}") from None
    if width * height > most:
        raise TooLargeError(
            f"the image has {width} x {height} pixels; at most {most / 1e6:.0f} megapixels are read"
        )
    return width * height
