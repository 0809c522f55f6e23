"""Run a centernet bundle: ONNX Runtime for the network, numpy to decode its maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.engines.letterbox import FILL, inner_size, letterbox
from trainer.engines.limits import FLOOR, at_most
from trainer.engines.runtime import open_session
from trainer.engines.suppress import suppress
from trainer.engines.tiles import Tile, tiles_of

MOST = 1000  # objects per frame, beyond which very low scores are dropped
SAME_CLASS_IOU = 0.6  # NMS threshold within a class
ANY_CLASS_IOU = 0.85  # NMS threshold across classes
_TILES_AT_ONCE = 8
_FLOOR = 1e-4  # minimum score of a candidate, even if all are requested


@dataclass(frozen=True)
class _Candidates:
    """Peaks, best first: boxes (N, 4), scores (N,), class_ids (N,), probabilities (N, C)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def take(self, rows: NDArray[Any]) -> _Candidates:
        return _Candidates(
            self.boxes[rows], self.scores[rows], self.class_ids[rows], self.probabilities[rows]
        )

    @classmethod
    def joined(cls, parts: Sequence[_Candidates]) -> _Candidates:
        both = cls(
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.class_ids for p in parts]),
            np.concatenate([p.probabilities for p in parts]),
        )
        return both.take(np.argsort(-both.scores, kind="stable"))


@dataclass(frozen=True)
class CenterNetDetector:
    """The Detector of one bundle; see trainer.detector.Detector.

    canvas: (height, width) to which a frame is resized before it is cut into tiles of input_size;
    None when the input takes the whole frame. most: objects per frame, if the card sets a limit.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    stride: int
    unit: float
    session: Any
    canvas: tuple[int, int] | None = None
    most: int | None = None

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image; probabilities are the sigmoid of all classes at the peak."""
        if not images:
            return []
        if self.canvas is not None:
            return [self._detect_tiled(image, self.canvas, min_score) for image in images]
        fitted = [letterbox(image, self.input_size) for image in images]
        maps = self._run([pixels for pixels, _ in fitted])
        return [
            self._whole(self._candidates(maps, n, min_score), scale, image, maps[3][n])
            for n, (image, (_, scale)) in enumerate(zip(images, fitted, strict=True))
        ]

    def _detect_tiled(
        self, image: RGBImage, canvas: tuple[int, int], min_score: float
    ) -> Detections:
        """Detect in tiles of the resized frame; each object comes from the tile that owns it."""
        pixels, scale = letterbox(image, canvas)
        inner = inner_size((image.shape[0], image.shape[1]), canvas)
        tiles = tiles_of(inner, self.input_size)
        found, embeddings = [], []
        for start in range(0, len(tiles), _TILES_AT_ONCE):
            part = tiles[start : start + _TILES_AT_ONCE]
            maps = self._run([_cut(pixels, tile, self.input_size) for tile in part])
            embeddings += list(maps[3])
            for n, tile in enumerate(part):
                one = self._candidates(maps, n, min_score)
                one.boxes[:] += np.array([tile.left, tile.top] * 2)
                found.append(one.take(tile.owns(one.boxes)))
        mean = np.mean(embeddings, axis=0)
        mean /= max(float(np.linalg.norm(mean)), 1e-9)
        return self._whole(_Candidates.joined(found), scale, image, mean)

    def _run(self, inputs: Sequence[RGBImage]) -> list[NDArray[np.float32]]:
        """Return heat (sigmoid), sizes, offsets and embedding of images of the input size."""
        batch = np.stack(inputs).transpose(0, 3, 1, 2)
        heat, sizes, offsets, embedding = self.session.run(
            None, {"images": np.ascontiguousarray(batch, np.float32)}
        )
        return [_sigmoid(heat), sizes, offsets, embedding]

    def _candidates(
        self, maps: Sequence[NDArray[np.float32]], n: int, min_score: float
    ) -> _Candidates:
        """Return the peaks of an image of the batch, best first, boxes in input pixels."""
        heat, sizes, offsets = (one[n] for one in maps[:3])
        cells = np.flatnonzero((_peaks(heat) & (heat >= max(min_score, _FLOOR))).ravel())
        peaks = heat.ravel()[cells]
        most = max(4 * MOST, int(np.count_nonzero(peaks >= FLOOR)))
        order = np.argsort(-peaks, kind="stable")[:most]
        class_ids, rows, columns = np.unravel_index(cells[order], heat.shape)
        scores = heat[class_ids, rows, columns]
        cx = (columns + 0.5 + offsets[0, rows, columns]) * self.stride
        cy = (rows + 0.5 + offsets[1, rows, columns]) * self.stride
        half = self.unit / 2 * np.exp(np.clip(sizes[:, rows, columns], -5, 5))
        corners = np.stack([cx - half[0], cy - half[1], cx + half[0], cy + half[1]], axis=1)
        return _Candidates(corners, scores, class_ids, heat[:, rows, columns].T)

    def _whole(
        self,
        found: _Candidates,
        scale: float,
        image: RGBImage,
        embedding: NDArray[np.float32],
    ) -> Detections:
        """Return the candidates after NMS, in image pixels."""
        height, width = image.shape[:2]
        limits = np.array([width, height, width, height])
        boxes = np.clip(found.boxes / scale, 0, limits).astype(np.float32)
        keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        keep = keep[
            suppress(
                boxes[keep],
                found.class_ids[keep],
                same=SAME_CLASS_IOU,
                other=ANY_CLASS_IOU,
                most=MOST,
                scores=found.scores[keep],
            )
        ]
        keep = keep[at_most(found.scores[keep], self.most)] if self.most else keep
        return Detections(
            boxes=boxes[keep],
            scores=found.scores[keep].astype(np.float32),
            class_ids=found.class_ids[keep].astype(np.int64),
            probabilities=found.probabilities[keep].astype(np.float32),
            embedding=embedding.astype(np.float32),
        )


def load(bundle: Bundle, *, threads: int | None = None) -> CenterNetDetector:
    """Load the bundle's ONNX file; BundleError when the runtime cannot read it."""
    card, canvas = bundle.card, bundle.card.extra.get("canvas")
    return CenterNetDetector(
        labels=card.labels,
        input_size=card.input_size,
        stride=int(card.extra["stride"]),
        unit=float(card.extra["unit"]),
        session=open_session(bundle.file("model.onnx"), threads=threads),
        canvas=(int(canvas[0]), int(canvas[1])) if canvas else None,
        most=card.extra.get("most"),
    )


def _cut(pixels: RGBImage, tile: Tile, size: tuple[int, int]) -> RGBImage:
    piece = pixels[tile.top : tile.top + size[0], tile.left : tile.left + size[1]]
    if piece.shape[:2] == size:
        return piece
    canvas = np.full((*size, 3), FILL, np.uint8)
    canvas[: piece.shape[0], : piece.shape[1]] = piece
    return canvas


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _peaks(heat: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the local maxima, (C, h, w), which replace NMS as in the paper."""
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    height, width = heat.shape[1:]
    around = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(heat >= np.max(around, axis=0), np.bool_)
