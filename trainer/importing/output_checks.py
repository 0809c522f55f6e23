"""Check that an imported network's outputs match its description, before it serves.

Nothing is guessed: outputs that contradict the file or the card are rejected with a remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.detector import Detector
from trainer.engines import load
from trainer.engines.generic_onnx import GenericDetector, fit_image, session_inputs
from trainer.engines.onnx_outputs import RawOutputs, by_columns
from trainer.engines.yolo import YoloDetector
from trainer.errors import BundleError, ModelFileError

_NEAR, _FAR = 2.0, 4.0  # of the input's sides: relative boxes lie below, pixel boxes above
_BEST = 100  # rows whose boxes are checked


def samples(size: tuple[int, int], given_one: RGBImage | None = None) -> list[RGBImage]:
    """Return test images of (height, width) = size: noise, gray, and the given one."""
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    gray = np.full((*size, 3), 114, np.uint8)
    return [noise, gray, *([] if given_one is None else [given_one])]


def try_detector(bundle: Bundle) -> Detector:
    """Load a detector, run it on a frame of noise, and return it.

    Raises BundleError when it cannot be loaded or its output is invalid.
    """
    pictures = samples(bundle.card.input_size)
    detector = load(bundle, threads=1)
    try:
        (found,) = detector.detect(pictures[:1], min_score=0.0)
    except (ValueError, IndexError) as error:
        check_outputs(bundle, detector, pictures)
        raise BundleError(bundle.path, "a valid output", str(error)) from error
    ids = {int(n) for n in found.class_ids}
    if strange := sorted(n for n in ids if not 0 <= n < len(bundle.card.labels)):
        there = f"class ids below {len(bundle.card.labels)}"
        raise BundleError(bundle.path, there, ", ".join(map(str, strange[:5])))
    return detector


def check_outputs(bundle: Bundle, detector: object, pictures: Sequence[RGBImage]) -> None:
    """Raise ModelFileError for outputs that contradict the card of an ONNX file."""
    card = bundle.card
    if isinstance(detector, GenericDetector):
        reading = dict(card.extra)
        rows = [detector.answers(picture)[0] for picture in pictures]
    elif isinstance(detector, YoloDetector):
        reading = {"box_format": "xyxy" if detector.chosen or detector.one_to_one else "cxcywh"}
        rows = [_of_yolo(detector, picture) for picture in pictures]
    else:
        return
    faults = output_faults(rows, reading, card.input_size, len(card.labels))
    if faults:
        raise ModelFileError(bundle.path, *faults[0])


def whole_numbers(session: Any, output: str) -> bool:
    """Return whether an output has integer values of 0 and 1 only."""
    shape = session.get_inputs()[0].shape
    size = (int(shape[2]), int(shape[3])) if isinstance(shape[2], int) else (640, 640)
    for picture in samples(size):
        seen = np.asarray(picture.transpose(2, 0, 1)[None] / 255, np.float32)
        values = session.run([output], session_inputs(session, seen, {}))
        column = np.asarray(values[0])[0][:, -1]
        if not np.isin(column, (0.0, 1.0)).all():
            return False
    return True


def output_faults(
    answers: Sequence[RawOutputs], reading: Mapping[str, Any], size: tuple[int, int], classes: int
) -> list[tuple[str, str]]:
    """Return (what is wrong, what to state instead), the most serious first."""
    kept = [rows.filled() for rows in answers]
    scores = [_scores(rows).ravel() for rows in kept]
    every = np.concatenate([*scores, np.zeros(0, np.float32)])
    boxes = np.concatenate(
        [rows.boxes[_order(rows)] for rows in kept] + [np.zeros((0, 4), np.float32)]
    )
    if not (np.isfinite(every).all() and np.isfinite(boxes).all()):
        return [("its outputs contain values that are not finite", "Export it again in 32 bits")]
    faults = _of_scores(every, str(reading.get("scores", "probabilities")))
    faults += _of_classes(kept, classes)
    return faults + _of_boxes(boxes, reading, size)


def _of_scores(every: NDArray[np.float32], form: str) -> list[tuple[str, str]]:
    if not len(every):
        return []
    low, high = float(every.min()), float(every.max())
    span = f"its scores run from {low:.4g} to {high:.4g}"
    card = "in a --card set `scores: {}`"
    if form == "probabilities" and (low < -1e-3 or high > 1 + 1e-3):
        percents = low >= 0 and high <= 100 + 1e-3
        kind = "percents" if percents else "logits"
        return [(f"{span}, which are not probabilities but {kind}", card.format(kind))]
    if form == "percents" and (low < 0 or high > 100 + 1e-3):
        return [(f"{span}, which are not percents", card.format("logits"))]
    if form in ("logits", "softmax") and low >= 0 and high <= 1 and high > low:
        fine = f"{span}: already probabilities, not {form}"
        return [(fine, card.format("probabilities"))]
    return []


def _of_classes(kept: Sequence[RawOutputs], classes: int) -> list[tuple[str, str]]:
    ids = np.concatenate(
        [rows.classes for rows in kept if rows.classes is not None] + [np.zeros(0, np.float32)]
    )
    if not len(ids):
        return []
    if float(np.abs(ids - np.rint(ids)).max()) > 1e-3:
        return [("its class ids are not integers", "Describe its columns in a --card")]
    if ids.max() == classes and ids.min() >= 1:
        return [(f"its class ids run from 1 to {classes}", "in a --card set `first_class: 1`")]
    if ids.max() >= classes:
        known = f"it returns class {int(ids.max())}, but {classes} classes are named"
        return [(known, "Name all classes of the network in order (--labels or the card)")]
    return []


def _of_boxes(
    boxes: NDArray[np.float32], reading: Mapping[str, Any], size: tuple[int, int]
) -> list[tuple[str, str]]:
    boxes = boxes[(boxes != 0).any(axis=1)]
    if not len(boxes):
        return []
    centred = reading.get("box_format", "xyxy") == "cxcywh"
    if centred and float((boxes[:, 2:] < 0).any(axis=1).mean()) > 0.1:
        negative = "its boxes have negative widths: they are not decoded to pixels"
        return [(negative, "Export it with its boxes decoded (YOLOX: --decode_in_inference)")]
    largest = np.abs(boxes).max(axis=1)
    if not reading.get("normalised", False):
        if float(largest.max()) <= _NEAR < min(size) / 4:
            shares = "its boxes are relative to the input, not in pixels"
            return [(shares, "in a --card set `normalised: true`")]
    elif float(np.median(largest)) > _FAR:
        return [("its boxes are in pixels, not relative", "in a --card set `normalised: false`")]
    if not centred and float((boxes[:, 2:] < boxes[:, :2]).any(axis=1).mean()) > 0.5:
        turned = "the right edges of its boxes lie left of the left edges: centre and size"
        return [(turned, "in a --card set `box_format: cxcywh`, or columns cx, cy, w, h")]
    return []


def _scores(rows: RawOutputs) -> NDArray[np.float32]:
    parts = [part for part in (rows.table, rows.scores, rows.objectness) if part is not None]
    return np.concatenate([part.ravel() for part in parts])


def _order(rows: RawOutputs) -> NDArray[np.int64]:
    best = rows.scores if rows.scores is not None else rows.table
    assert best is not None  # noqa: S101 - one of them is there
    best = best.max(axis=1, initial=-np.inf) if best.ndim == 2 else best
    return np.argsort(-best, kind="stable")[:_BEST]


def _of_yolo(detector: YoloDetector, picture: RGBImage) -> RawOutputs:
    pixels, _ = fit_image(picture, detector.input_size, "letterbox")
    seen = np.asarray(pixels.transpose(2, 0, 1)[None] / 255, np.float32)
    names = [output.name for output in detector.session.get_outputs()]
    values = dict(
        zip(
            names,
            detector.session.run(None, session_inputs(detector.session, seen, {})),
            strict=True,
        )
    )
    values.pop("embedding", None)
    first = np.asarray(next(iter(values.values()))[0], np.float32)
    if detector.chosen:
        columns = ("x1", "y1", "x2", "y2", "score", "class", "mask")
        return by_columns(first, columns, len(detector.labels))
    raw = ("cx", "cy", "w", "h", "classes", "mask")
    return by_columns(first.T, raw, len(detector.labels))
