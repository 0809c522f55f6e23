"""Validate and parse CVAT's requests to a function; the only module that reads them.

A detector gets `{"image", "threshold"?}`, an interactor `{"image", "pos_points", "neg_points",
"obj_bbox"?, "threshold"?}`: the image as base64 of an encoded file, coordinates as floats in its
pixels. Unknown keys are ignored, since newer servers send more.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serverless.errors import BadRequestError, UnreadableImageError
from serverless.wire.base64_cache import Base64Cache, decode_base64
from serverless.wire.bounds import MAX_COORDINATE, check_points, check_values
from trainer.data.images import RGBImage, decode
from trainer.errors import ImageError

Points = NDArray[np.float64]  # (N, 2), x y
_UNPACKED = Base64Cache()


@dataclass(frozen=True)
class DetectorRequest:
    """image: encoded bytes. threshold: 0..1, or None if the caller sends none."""

    image: bytes
    threshold: float | None


@dataclass(frozen=True)
class InteractorRequest:
    """The clicks of an annotator so far, in order.

    image: encoded bytes; their hash is the cache key. positive, negative: (N, 2) x y in pixels,
    possibly outside the image. box: (4,) x1 y1 x2 y2 with x1 <= x2, y1 <= y2, or None.
    """

    image: bytes
    positive: Points
    negative: Points
    box: NDArray[np.float64] | None
    threshold: float | None


def parse(body: bytes | str | dict[str, Any] | None) -> dict[str, Any]:
    """Return the JSON object of a request, already parsed or not.

    Nuclio parses a body only when the content type is exactly application/json.
    """
    content: Any = body
    if isinstance(body, (bytes, bytearray, str)):
        check_values(body)
        try:
            content = json.loads(body)
        except RecursionError:
            raise BadRequestError("the body is nested too deeply") from None
        except ValueError as error:
            raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadRequestError(f"the body must be a JSON object, found {type(content).__name__}")
    return content


def detector_request(body: dict[str, Any]) -> DetectorRequest:
    """Parse a detector's request; BadRequestError explains what is wrong."""
    return DetectorRequest(_image(body, decode_base64), _threshold(body))


def interactor_request(body: dict[str, Any]) -> InteractorRequest:
    """Parse an interactor's request; BadRequestError explains what is wrong.

    CVAT sends the whole image with every click, so the last decoded ones are cached.
    """
    keys = ("pos_points", "neg_points", "obj_bbox")
    check_points(*(len(body[key]) for key in keys if isinstance(body.get(key), list)))
    return InteractorRequest(
        image=_image(body, _UNPACKED.read),
        positive=_points(body, "pos_points"),
        negative=_points(body, "neg_points"),
        box=_box(body),
        threshold=_threshold(body),
    )


def pixels(image: bytes) -> RGBImage:
    """Decode the image of a request; UnreadableImageError if that is impossible."""
    try:
        return decode(image)
    except ImageError as error:
        raise UnreadableImageError(str(error)) from error


UNREADABLE_HEADER = "x-frame-not-read"  # of an empty response: why the image could not be read


def header_text(text: str) -> str:
    """Return a text in the form of a header value: printable ASCII, one line."""
    plain = text.encode("ascii", "replace").decode()
    return "".join(one if one.isprintable() else " " for one in plain)[:500]


def cvat_version(user_agent: str | None) -> tuple[int, int] | None:
    """Return (major, minor) of the calling CVAT, from `CVAT/2.73.0 …`; None for others."""
    found = re.search(r"\bCVAT/(\d+)\.(\d+)", user_agent or "")
    return (int(found[1]), int(found[2])) if found else None


def _image(body: dict[str, Any], read: Callable[[str], bytes]) -> bytes:
    text = body.get("image")
    if not isinstance(text, str) or not text:
        raise BadRequestError("image must be the base64 of an encoded image")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return read(text)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(f"image is not base64: {error}") from error


def _threshold(body: dict[str, Any]) -> float | None:
    value = body.get("threshold")
    if value is None:
        return None
    if not _number(value) or not 0 <= value <= 1:
        raise BadRequestError(f"threshold must be a number in 0..1, found {_shown(value)}")
    return float(value)


def _points(body: dict[str, Any], key: str) -> Points:
    value = body.get(key)
    if value is None:
        value = []
    if not isinstance(value, list):
        raise BadRequestError(f"{key} must be a list of [x, y], found {type(value).__name__}")
    for point in value:
        if not isinstance(point, list) or len(point) != 2 or not all(map(_number, point)):
            raise BadRequestError(
                f"{key} must contain [x, y] of finite numbers up to {MAX_COORDINATE:g},"
                f" found {_shown(point)}"
            )
    return np.array(value, np.float64).reshape(-1, 2)


def _box(body: dict[str, Any]) -> NDArray[np.float64] | None:
    corners = _points(body, "obj_bbox")
    if not len(corners):
        return None
    if len(corners) % 2:
        raise BadRequestError(
            f"obj_bbox must contain pairs of corners, found {len(corners)} points"
        )
    # The editor sends several boxes as one flat list; the last one is the current one.
    pair = corners[-2:]
    return np.concatenate([pair.min(axis=0), pair.max(axis=0)])


def _number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # An integer may exceed the range of floats.
    return abs(value) <= MAX_COORDINATE if isinstance(value, int) else _finite(value)


def _finite(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= MAX_COORDINATE


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
