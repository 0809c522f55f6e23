"""Run an ONNX detector of any family, whose card describes inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.engines.limits import TAIL, at_most
from trainer.engines.onnx_outputs import RawOutputs, class_ids, probabilities, read_outputs
from trainer.engines.runtime import first_input, open_session, run
from trainer.engines.suppress import suppress
from trainer.engines.yolo import FILL, Letterbox, letterbox
from trainer.errors import BundleError

# Values of a second input, from which some networks scale boxes to pixels: the input size.
SIZES = ("width_height", "height_width", "ones")
_FLOAT = NDArray[np.float32]


@dataclass(frozen=True)
class GenericDetector:
    """The Detector of one bundle; one image per run. See trainer.detector.Detector.

    reading: card.extra; see trainer.importing.card for its keys.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    reading: Mapping[str, Any]
    session: Any

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image. Raises ValueError for outputs that contradict the card.

        That is a class id beyond its labels, or scores that are not in the stated form.
        """
        return [self._one(image, min_score) for image in images]

    def answers(self, image: RGBImage) -> tuple[RawOutputs, Letterbox]:
        """Return the network's raw outputs for an image."""
        pixels, frame = fit_image(image, self.input_size, self.reading.get("fit", "letterbox"))
        if self.reading.get("channels") == "bgr":
            pixels = pixels[..., ::-1]
        mean, std = (np.asarray(self.reading[k], np.float32) for k in ("mean", "std"))
        seen = ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)[None]
        names = [output.name for output in self.session.get_outputs()]
        values = self.session.run(None, session_inputs(self.session, seen, self.reading))
        found = dict(zip(names, values, strict=True))
        return read_outputs(found, self.reading, len(self.labels)).filled(), frame

    def _one(self, image: RGBImage, min_score: float) -> Detections:
        rows, frame = self.answers(image)
        scores, ids, shares = self._scored(rows)
        boxes = self._placed(rows.boxes, frame)
        fine = (scores >= min_score) & (scores > 0) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        order = np.flatnonzero(fine)[np.argsort(-scores[fine], kind="stable")]
        iou = self.reading.get("suppression")
        if iou is not None:
            kept = suppress(
                boxes[order], ids[order], same=float(iou), most=TAIL, scores=scores[order]
            )
            order = order[kept]
        order = order[at_most(scores[order], self.reading.get("most"))]
        return Detections(
            boxes=boxes[order],
            scores=scores[order],
            class_ids=ids[order],
            probabilities=None if shares is None else shares[order],
        )

    def _scored(self, rows: RawOutputs) -> tuple[_FLOAT, NDArray[np.int64], _FLOAT | None]:
        """Return scores (N,), class ids (N,) and, if available, the scores of all classes."""
        form = self.reading.get("scores", "probabilities")
        if rows.table is None:
            assert rows.scores is not None and rows.classes is not None  # noqa: PT018, S101
            return probabilities(rows.scores, form), class_ids(rows.classes, len(self.labels)), None
        shares = probabilities(rows.table, form)
        classes, background = len(self.labels), self.reading.get("background", "none")
        if shares.shape[1] > classes:
            shares = shares[:, 1:] if background == "first" else shares[:, :classes]
        if rows.objectness is not None:
            shares = shares * probabilities(rows.objectness, form)[:, None]
        return shares.max(axis=1, initial=0), shares.argmax(axis=1).astype(np.int64), shares

    def _placed(self, boxes: _FLOAT, frame: Letterbox) -> _FLOAT:
        height, width = self.input_size
        if self.reading["normalised"]:
            boxes = boxes * np.array([width, height, width, height], np.float32)
        if self.reading["box_format"] == "cxcywh":
            half = boxes[:, 2:] / 2
            boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
        moved = boxes - np.array([frame.left, frame.top] * 2, np.float32)
        limits = np.array([frame.width, frame.height] * 2, np.float32)
        scaled = moved / np.array(frame.scale * 2, np.float32)
        return np.asarray(np.clip(scaled, 0, limits), np.float32)


def fit_image(image: RGBImage, size: tuple[int, int], fit: str) -> tuple[RGBImage, Letterbox]:
    """Return the image fitted into an input of (height, width) = size.

    fit: "letterbox" centred with its aspect kept, "corner" the same at the top left, "stretch"
    without keeping the aspect.
    """
    if fit == "letterbox":
        return letterbox(image, size)
    (height, width), (high, wide) = image.shape[:2], size
    if fit == "stretch":
        pixels = image if (height, width) == size else cv2.resize(image, (wide, high))
        return np.asarray(pixels, np.uint8), Letterbox(
            height, width, (wide / width, high / height), 0, 0
        )
    ratio = min(high / height, wide / width)
    inner = max(int(width * ratio), 1), max(int(height * ratio), 1)
    canvas = np.full((*size, 3), FILL, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner)
    return canvas, Letterbox(height, width, (ratio, ratio), 0, 0)


def session_inputs(session: Any, image: _FLOAT, reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session's inputs: an image (1, 3, H, W), and the size if it has such an input.

    A fixed batch is filled with copies of the image. Raises ValueError for an input that the card
    does not name.
    """
    first, *others = session.get_inputs()
    batch = first.shape[0] if first.shape and isinstance(first.shape[0], int) else 1
    values = first_input(session, np.ascontiguousarray(np.repeat(image, batch, axis=0), np.float32))
    sizes: Mapping[str, str] = reading.get("sizes", {})
    height, width = image.shape[2:]
    forms = {
        "width_height": [width, height],
        "height_width": [height, width],
        "ones": [1, 1],
    }
    for other in others:
        form = sizes.get(other.name)
        if form is None:
            raise ValueError(
                f"a second input {other.name!r}, which the card does not describe: name it under"
                f" input.sizes as one of {', '.join(SIZES)}"
            )
        kind = np.int64 if "int64" in other.type else np.int32 if "int" in other.type else None
        values[other.name] = np.array([forms[form]] * batch, kind or np.float32)
    return values


def load(bundle: Bundle, *, threads: int | None = None) -> GenericDetector:
    """Load the bundle's ONNX file; BundleError when its outputs contradict the card."""
    card = bundle.card
    session = open_session(bundle.file("model.onnx"), threads=threads)
    names = [output.name for output in session.get_outputs()]
    empty = np.zeros((1, 3, *card.input_size), np.float32)
    try:
        answers = run(session, session_inputs(session, empty, card.extra), bundle.path)
        read_outputs(dict(zip(names, answers, strict=True)), card.extra, len(card.labels))
    except (ValueError, KeyError) as error:
        raise BundleError(bundle.path, "outputs as the card describes", str(error)) from error
    return GenericDetector(card.labels, card.input_size, card.extra, session)
