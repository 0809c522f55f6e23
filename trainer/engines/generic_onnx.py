"""Runs an ONNX detector of any family, as its card describes the input and the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.engines.runtime import fed, open_session, run
from trainer.engines.yolo import Frame, letterbox
from trainer.errors import BundleError

_FLOAT = NDArray[np.float32]


@dataclass(frozen=True)
class GenericDetector:
    """The detector of one bundle; one image a run. See trainer.detector.Detector.

    reading: card.extra, that is mean, std, outputs, box_format and normalised.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    reading: Mapping[str, Any]
    session: Any

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Answer every image. Raises ValueError for a class id that the card does not know."""
        return [self._one(image, min_score) for image in images]

    def _one(self, image: RGBImage, min_score: float) -> Detections:
        pixels, frame = letterbox(image, self.input_size)
        mean, std = (np.asarray(self.reading[k], np.float32) for k in ("mean", "std"))
        seen = ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)[None]
        names = [output.name for output in self.session.get_outputs()]
        given = fed(self.session, np.ascontiguousarray(seen, np.float32))
        answers = dict(zip(names, self.session.run(None, given), strict=True))
        boxes, scores, ids, shares = read(answers, self.reading["outputs"], len(self.labels))
        boxes = self._placed(boxes, frame)
        fine = (scores >= min_score) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        order = np.flatnonzero(fine)[np.argsort(-scores[fine], kind="stable")]
        return Detections(
            boxes=boxes[order],
            scores=np.clip(scores[order], 0, 1),
            class_ids=ids[order],
            probabilities=None if shares is None else shares[order],
        )

    def _placed(self, boxes: _FLOAT, frame: Frame) -> _FLOAT:
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


def read(
    answers: Mapping[str, Any], outputs: Mapping[str, str], classes: int
) -> tuple[_FLOAT, _FLOAT, NDArray[np.int64], _FLOAT | None]:
    """Return boxes (N, 4), scores (N,), class ids (N,) and probabilities (N, C) of one image.

    Raises ValueError when the shapes are not those that the card's form promises, or a class id
    lies outside of the label map.
    """
    boxes = np.asarray(answers[outputs["boxes"]], np.float32)
    scores = np.asarray(answers[outputs["scores"]], np.float32)
    if boxes.ndim == 3:
        boxes = boxes[0]
    if "classes" not in outputs:
        shares = scores[0] if scores.ndim == 3 else scores
        if shares.shape != (len(boxes), classes):
            raise ValueError(f"scores must be ({len(boxes)}, {classes}), found {shares.shape}")
        ids, scores = shares.argmax(axis=1).astype(np.int64), shares.max(axis=1)
        return boxes, scores, ids, shares
    scores = scores.reshape(-1)
    ids = np.asarray(answers[outputs["classes"]]).reshape(-1).astype(np.int64)
    if boxes.shape != (len(scores), 4) or len(ids) != len(scores):
        raise ValueError(
            f"boxes (N, 4), scores (N,), classes (N,) expected, found {boxes.shape},"
            f" {scores.shape}, {ids.shape}"
        )
    strange = ids[(ids < 0) | (ids >= classes)]
    if len(strange):
        raise ValueError(f"class id {strange[0]}, but there are {classes} classes")
    return boxes, scores, ids, None


def load(bundle: Bundle, *, threads: int | None = None) -> GenericDetector:
    """Load the bundle's ONNX file; BundleError when it does not answer as its card says."""
    card = bundle.card
    session = open_session(bundle.file("model.onnx"), threads=threads)
    names = [output.name for output in session.get_outputs()]
    empty = np.zeros((1, 3, *card.input_size), np.float32)
    answers = run(session, fed(session, empty), bundle.path)
    try:
        read(dict(zip(names, answers, strict=True)), card.extra["outputs"], len(card.labels))
    except (ValueError, KeyError) as error:
        raise BundleError(bundle.path, "outputs as its card says", str(error)) from error
    return GenericDetector(card.labels, card.input_size, card.extra, session)
