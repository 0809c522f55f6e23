"""How much one request may ask for; what is more is refused before any work is done for it."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from serverless.errors import BadRequestError, TooLargeError, UnreadableImageError
from trainer.data.images import MAX_PIXELS

MAX_POINTS = 256  # of all clicks and corners of one request; a person sets a dozen
MAX_VALUES = 10_000  # in one body: the image is a single one
MAX_COORDINATE = 1e6  # pixels


def check_values(body: bytes | bytearray | str) -> None:
    """Raise BadRequestError for a body of more values than a request has, unread.

    Base64 holds none of the signs counted, so an image of any size counts as one value.
    """
    data = body.encode() if isinstance(body, str) else body
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        raise BadRequestError(f"the body holds more than {MAX_VALUES} values")


def check_points(*lists: int) -> None:
    """Raise BadRequestError where the points of a request are too many together."""
    if sum(lists) > MAX_POINTS:
        raise BadRequestError(
            f"pos_points, neg_points and obj_bbox hold {sum(lists)} points together;"
            f" at most {MAX_POINTS} are read"
        )


def pixels_of(image: bytes, *, most: int = MAX_PIXELS) -> int:
    """Return how many pixels an encoded image has, from its head.

    Raises TooLargeError for more than `most`, UnreadableImageError for what is no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(image)) as opened:
                width, height = opened.size
    except Image.DecompressionBombError:
        raise TooLargeError(f"the image has more than {most / 1e6:.0f} megapixels") from None
    # Pillow's readers raise each of these for damaged heads.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise UnreadableImageError(f"no image that can be read: {error}") from None
    if width * height > most:
        raise TooLargeError(
            f"the image has {width} x {height} pixels; at most {most / 1e6:.0f} megapixels are read"
        )
    return width * height
