"""Decode the outputs of an ONNX detector as its card describes; nothing is guessed.

For the keys of a card see trainer.importing.card: `columns` names the columns of a single output of
rows; without it, boxes, scores and classes are separate outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CORNERS = ("x1", "y1", "x2", "y2")
CENTRE = ("cx", "cy", "w", "h")
COLUMNS = frozenset((*CORNERS, *CENTRE, "score", "class", "classes", "objectness", "batch", "mask"))
SCORES = ("probabilities", "logits", "softmax", "percents")
BACKGROUNDS = ("none", "first", "last")
_CLOSE = 1e-3  # tolerance around 0..1: rounding errors of 16-bit probabilities
_Float = NDArray[np.float32]


@dataclass(frozen=True)
class RawOutputs:
    """The N raw rows of one image.

    boxes: (N, 4) in the card's box format and unit. table: (N, C) scores of all classes, or None if
    only the best class is given: then scores (N,) and classes (N,). objectness: (N,), a factor of
    all class scores, or None.
    """

    boxes: _Float
    table: _Float | None = None
    scores: _Float | None = None
    classes: _Float | None = None
    objectness: _Float | None = None

    def filled(self) -> RawOutputs:
        """Drop padding rows: with class -1, or without a score."""
        if self.scores is None or self.classes is None:
            return self
        kept = (self.classes >= 0) & (self.scores != 0)
        return RawOutputs(self.boxes[kept], None, self.scores[kept], self.classes[kept])


def read_outputs(given: Mapping[str, Any], reading: Mapping[str, Any], classes: int) -> RawOutputs:
    """Return the rows of the first image of a batch.

    given: output name → value. reading: card.extra. Raises ValueError when the shapes contradict
    the card.
    """
    outputs: Mapping[str, str] = reading["outputs"]
    columns = reading.get("columns")
    if columns is not None:
        rows = _rows(np.asarray(given[outputs["rows"]], np.float32))
        return by_columns(rows.T if reading.get("transposed") else rows, columns, classes)
    boxes = _rows(np.asarray(given[outputs["boxes"]], np.float32))
    scores = np.asarray(given[outputs["scores"]], np.float32)
    if "classes" in outputs:
        flat = scores.reshape(-1)
        ids = np.asarray(given[outputs["classes"]], np.float32).reshape(-1)
        if boxes.shape != (len(flat), 4) or len(ids) != len(flat):
            raise ValueError(
                f"boxes (N, 4), scores (N,), classes (N,) expected, found {boxes.shape},"
                f" {flat.shape}, {ids.shape}"
            )
        return RawOutputs(boxes, scores=flat, classes=ids - int(reading.get("first_class", 0)))
    table = _rows(scores)
    more = 0 if reading.get("background", "none") == "none" else 1
    # Some versions export RF-DETR with its "no object" column, others without.
    if reading.get("background_optional") and table.shape[1] == classes:
        more = 0
    if boxes.shape != (len(table), 4) or table.shape[1] != classes + more:
        raise ValueError(
            f"scores must be ({len(boxes)}, {classes + more}), found {table.shape},"
            f" with boxes of {boxes.shape}"
        )
    return RawOutputs(boxes, table)


def by_columns(rows: _Float, columns: Sequence[str], classes: int) -> RawOutputs:
    """Read rows (N, K); ValueError when K does not match the columns."""
    width = {"classes": classes, "mask": 0}
    starts, at = {}, 0
    for name in columns:
        starts[name] = at
        at += width.get(name, 1)
    if rows.ndim != 2 or (rows.shape[1] != at and "mask" not in columns):
        expected = ", ".join(columns)
        raise ValueError(f"{at} columns ({expected}) for {classes} classes, found {rows.shape}")
    box = CENTRE if "cx" in starts else CORNERS
    boxes = rows[:, [starts[name] for name in box]]
    if "class" in starts:
        return RawOutputs(
            boxes, scores=rows[:, starts["score"]].copy(), classes=rows[:, starts["class"]].copy()
        )
    table = rows[:, starts["classes"] : starts["classes"] + classes]
    objectness = rows[:, starts["objectness"]] if "objectness" in starts else None
    return RawOutputs(boxes, table, objectness=objectness)


def probabilities(values: _Float, form: str) -> _Float:
    """Return scores as probabilities; ValueError for values that cannot be any.

    form: one of SCORES; softmax is over the last axis.
    """
    if form == "logits":
        return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)
    if form == "softmax":
        grown = np.exp(values - values.max(axis=-1, keepdims=True, initial=-np.inf))
        return np.asarray(grown / grown.sum(axis=-1, keepdims=True), np.float32)
    shares = values / 100 if form == "percents" else values
    if shares.size and not (float(shares.min()) >= -_CLOSE and float(shares.max()) <= 1 + _CLOSE):
        raise ValueError(
            f"scores of {float(values.min()):.4g} to {float(values.max()):.4g} are not {form}"
        )
    return np.asarray(np.clip(shares, 0, 1), np.float32)


def class_ids(values: _Float, classes: int) -> NDArray[np.int64]:
    """Return class ids; ValueError for one that is not an integer or not in the card."""
    whole = np.rint(values)
    if len(values) and float(np.abs(whole - values).max()) > _CLOSE:
        raise ValueError(f"class ids must be whole numbers, found {float(values[0]):.4g}")
    ids = np.asarray(whole, np.int64)
    strange = ids[(ids < 0) | (ids >= classes)]
    if len(strange):
        raise ValueError(f"class id {strange[0]}, but there are {classes} classes")
    return ids


def _rows(values: _Float) -> _Float:
    """Return the first image of a batch, if there is a batch axis."""
    return values[0] if values.ndim == 3 else values
