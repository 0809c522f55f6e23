"""Run a YOLO network: ONNX Runtime for the network, numpy to decode its outputs.

It reads exports of trainer.backends.yolo and of ultralytics itself. The card states the layout of
the first output: "anchors", (B, 4 + C (+ M), A), which needs NMS; or "chosen", (B, N, 6 (+ M)), in
which the network has already selected the objects. Earlier bundles do not state it; then the layout
that fits the shape is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask
from trainer.engines.limits import FLOOR, TAIL, at_most
from trainer.engines.onnx_outputs import class_ids as known_ids
from trainer.engines.onnx_outputs import probabilities as in_range
from trainer.engines.runtime import first_input, open_session, run
from trainer.engines.suppress import suppress
from trainer.errors import BundleError

ANCHORS, CHOSEN = "anchors", "chosen"
FILL = 114  # gray of the padding, as in training
_FLOAT = NDArray[np.float32]


@dataclass(frozen=True)
class Letterbox:
    """The position of an image in the network's input: scaled by (x, y), shifted by (left, top)."""

    height: int
    width: int
    scale: tuple[float, float]
    left: int
    top: int


@dataclass(frozen=True)
class YoloDetector:
    """The Detector of one bundle; see trainer.detector.Detector.

    one_to_one: each object has one anchor, so there is no NMS and boxes are corners. chosen: the
    network has selected the objects and returns the best class only. batch: a fixed batch size;
    None for any. most: objects per frame, if the card sets a limit.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    one_to_one: bool
    chosen: bool
    iou: float
    session: Any
    batch: int | None = None
    most: int | None = None

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image; probabilities are the sigmoid of all classes of the object.

        Raises ValueError for scores that are not probabilities, and for unknown class ids.
        """
        if not images:
            return []
        if self.batch is not None and len(images) != self.batch:
            size = self.batch
            empty = np.zeros((1, 1, 3), np.uint8)
            parts = [[*images[n : n + size]] for n in range(0, len(images), size)]
            return [
                found
                for part in parts
                for found in self.detect(
                    [*part, *[empty] * (size - len(part))], min_score=min_score
                )[: len(part)]
            ]
        fitted = [letterbox(image, self.input_size) for image in images]
        batch = np.stack([pixels for pixels, _ in fitted]).transpose(0, 3, 1, 2)
        names = [output.name for output in self.session.get_outputs()]
        given = first_input(self.session, np.divide(batch, 255, dtype=np.float32))
        outputs = dict(zip(names, self.session.run(None, given), strict=True))
        embeddings = outputs.pop("embedding", None)
        first, *rest = outputs.values()
        protos = rest[0] if rest else None
        return [
            self._read(
                np.asarray(first[n], np.float32),
                None if protos is None else np.asarray(protos[n], np.float32),
                None if embeddings is None else np.asarray(embeddings[n], np.float32),
                frame,
                min_score,
            )
            for n, (_, frame) in enumerate(fitted)
        ]

    def _read(
        self,
        answer: _FLOAT,
        protos: _FLOAT | None,
        embedding: _FLOAT | None,
        frame: Letterbox,
        min_score: float,
    ) -> Detections:
        corners, scores, class_ids, probabilities, coefficients = (
            _chosen(answer, len(self.labels), min_score)
            if self.chosen
            else _best_pairs(answer, len(self.labels), min_score)
            if self.one_to_one
            else _suppressed(answer, len(self.labels), min_score, self.iou)
        )
        boxes = _to_image(corners, frame)
        keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        keep = keep[at_most(scores[keep], self.most)]
        masks = None
        if protos is not None:
            drawn = [_mask(protos, coefficients[n], boxes[n], frame) for n in keep]
            shown = [n for n, mask in enumerate(drawn) if mask.bitmap.any()]
            keep, masks = keep[shown], tuple(drawn[n] for n in shown)
        return Detections(
            boxes=boxes[keep],
            scores=in_range(scores[keep], "probabilities"),
            class_ids=class_ids[keep],
            probabilities=None if probabilities is None else probabilities[keep],
            masks=masks,
            embedding=embedding,
        )


def load(bundle: Bundle, *, threads: int | None = None) -> YoloDetector:
    """Load the bundle's ONNX file; BundleError unless it is a YOLO network for its classes."""
    card = bundle.card
    session = open_session(bundle.file("model.onnx"), threads=threads)
    # The file does not always state its shapes; run one empty frame to get them.
    first = session.get_inputs()[0]
    batch = first.shape[0] if isinstance(first.shape[0], int) else None
    empty = np.zeros((batch or 1, 3, *card.input_size), np.float32)
    answers = run(session, first_input(session, empty), bundle.path)
    names = [output.name for output in session.get_outputs()]
    shapes = [a.shape for name, a in zip(names, answers, strict=True) if name != "embedding"]
    extra = shapes[1][1] if len(shapes) > 1 else 0
    rows, columns = shapes[0][1:]
    layout = card.extra.get("layout")
    fits = [
        name
        for name, fit in (
            (ANCHORS, rows == 4 + len(card.labels) + extra),
            (CHOSEN, columns == 6 + extra),
        )
        if fit
    ]
    if layout not in (fits if layout else [None]) or not fits:
        forms = {
            ANCHORS: f"(B, {4 + len(card.labels) + extra}, anchors)",
            CHOSEN: f"(B, objects, {6 + extra})",
        }
        expected = [forms[layout]] if layout in forms else list(forms.values())
        raise BundleError(
            bundle.path,
            f"a first output of {' or '.join(expected)} for {len(card.labels)} classes",
            str(shapes[0]),
        )
    return YoloDetector(
        labels=card.labels,
        input_size=card.input_size,
        one_to_one=bool(card.extra.get("one_to_one", False)),
        chosen=(layout or fits[0]) == CHOSEN,
        iou=float(card.extra.get("iou", 0.7)),
        session=session,
        batch=batch,
        most=card.extra.get("most"),
    )


def letterbox(image: RGBImage, size: tuple[int, int]) -> tuple[RGBImage, Letterbox]:
    """Return the image centred in (height, width) = size, resized with its aspect kept."""
    height, width = image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    inner = max(round(width * ratio), 1), max(round(height * ratio), 1)
    left = round((size[1] - inner[0]) / 2 - 0.1)
    top = round((size[0] - inner[1]) / 2 - 0.1)
    canvas = np.full((*size, 3), FILL, np.uint8)
    resized = image if inner == (width, height) else cv2.resize(image, inner)
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas, Letterbox(height, width, (inner[0] / width, inner[1] / height), left, top)


_Rows = tuple[_FLOAT, _FLOAT, NDArray[np.int64], _FLOAT | None, _FLOAT]


def _suppressed(answer: _FLOAT, classes: int, min_score: float, iou: float) -> _Rows:
    """Decode all anchors: the best class of each, then greedy NMS within a class."""
    rows = answer.T
    best = rows[:, 4 : 4 + classes].max(axis=1)
    rows = rows[best > min_score]
    probabilities = rows[:, 4 : 4 + classes]
    scores, class_ids = probabilities.max(axis=1), probabilities.argmax(axis=1)
    half = rows[:, 2:4] / 2
    corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    order = np.argsort(-scores, kind="stable")
    kept = suppress(corners[order], class_ids[order], same=iou, most=TAIL, scores=scores[order])
    keep = order[kept]
    return (
        corners[keep],
        scores[keep],
        class_ids[keep],
        probabilities[keep],
        rows[keep, 4 + classes :],
    )


def _best_pairs(answer: _FLOAT, classes: int, min_score: float) -> _Rows:
    """Decode a head without NMS: the best pairs of anchor and class.

    An anchor may report two classes, as in the head's own selection.
    """
    rows = answer.T
    best = rows[:, 4 : 4 + classes].max(axis=1)
    enough = max(TAIL, int(np.count_nonzero(rows[:, 4 : 4 + classes] >= FLOOR)))
    most = min(enough, len(rows))
    rows = rows[np.argsort(-best, kind="stable")[:most]]
    probabilities = rows[:, 4 : 4 + classes]
    pairs = np.argsort(-probabilities.ravel(), kind="stable")[:most]
    anchors, class_ids = np.divmod(pairs, classes)
    scores = probabilities.ravel()[pairs]
    keep = scores > min_score
    rows, class_ids = rows[anchors[keep]], class_ids[keep]
    return (
        rows[:, :4],
        scores[keep],
        class_ids.astype(np.int64),
        rows[:, 4 : 4 + classes],
        rows[:, 4 + classes :],
    )


def _chosen(answer: _FLOAT, classes: int, min_score: float) -> _Rows:
    """Decode the network's own selection; rows without class or score are padding."""
    rows = answer[(answer[:, 4] > min_score) & (answer[:, 4] != 0) & (answer[:, 5] >= 0)]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return rows[:, :4], rows[:, 4], known_ids(rows[:, 5], classes), None, rows[:, 6:]


def _to_image(corners: _FLOAT, frame: Letterbox) -> _FLOAT:
    shift = np.array([frame.left, frame.top] * 2, np.float32)
    scale = np.array(frame.scale * 2, np.float32)
    limits = np.array([frame.width, frame.height] * 2, np.float32)
    return np.asarray(np.clip((corners - shift) / scale, 0, limits), np.float32)


def _mask(protos: _FLOAT, coefficients: _FLOAT, box: _FLOAT, frame: Letterbox) -> Mask:
    """Compute one mask inside its box, at the image's resolution.

    protos: (M, h, w) over the whole input, a quarter of its side.
    """
    left, top, right, bottom = (int(v) for v in np.ceil(box))
    logits = np.tensordot(coefficients, protos, axes=1)
    # All networks of the family have prototypes at a quarter of the input's side.
    x = ((np.arange(left, right) + 0.5) * frame.scale[0] + frame.left) / 4 - 0.5
    y = ((np.arange(top, bottom) + 0.5) * frame.scale[1] + frame.top) / 4 - 0.5
    if not len(x) or not len(y):
        return Mask(np.zeros((0, 0), np.bool_), left, top)
    grid_x, grid_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    sampled = cv2.remap(logits, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Mask(np.asarray(sampled > 0, np.bool_), left, top)
