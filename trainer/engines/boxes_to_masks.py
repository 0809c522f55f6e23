"""Turn boxes into masks: a detector of boxes and an interactor form a detector of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask, box_iou
from trainer.detector import Detector
from trainer.engines import load_interactor
from trainer.errors import BundleError
from trainer.interactor import BoxSegmenter

_LEAST_SHARE = 0.05  # of the box: a smaller mask is a speck, not the object
_SAME_BOX = 0.8  # IoU from which a rectangular mask counts as equal to its box


@dataclass(frozen=True)
class MaskingDetector:
    """A Detector of masks composed of a detector of boxes and an interactor.

    A box without a mask is dropped, see `masks_of_boxes`.
    """

    detector: Detector
    segmenter: BoxSegmenter

    @property
    def labels(self) -> LabelMap:
        """Return the classes of the detector."""
        return self.detector.labels

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect masks in every image; see Detector.detect."""
        found = self.detector.detect(images, min_score=min_score)
        return [
            with_masks(one, image, self.segmenter) for one, image in zip(found, images, strict=True)
        ]


def load_segmenter(bundle: Bundle, *, threads: int | None = None) -> BoxSegmenter:
    """Load an interactor's bundle that segments boxes; BundleError for any other.

    threads: per call, None for the runtime's default.
    """
    engine = load_interactor(bundle, threads=threads)
    if not isinstance(engine, BoxSegmenter):
        raise BundleError(bundle.path, "an interactor that segments boxes", bundle.card.engine)
    return engine


def with_masks(found: Detections, image: RGBImage, segmenter: BoxSegmenter) -> Detections:
    """Return the detections of an image (H, W, 3) with masks; those without one are dropped.

    Detections that already have masks are returned unchanged.
    """
    if found.masks is not None:
        return found
    masks = masks_of_boxes(segmenter, image, found.boxes)
    kept = [n for n, mask in enumerate(masks) if mask is not None]
    return replace(
        found,
        boxes=found.boxes[kept],
        scores=found.scores[kept],
        class_ids=found.class_ids[kept],
        probabilities=None if found.probabilities is None else found.probabilities[kept],
        masks=tuple(mask for mask in masks if mask is not None),
    )


def masks_of_boxes(
    segmenter: BoxSegmenter, image: RGBImage, boxes: NDArray[np.floating[Any]]
) -> list[Mask | None]:
    """Return the mask of the object in each box (N, 4), None if the interactor finds none.

    image: (H, W, 3). Masks are rejected if they are empty, a speck in the box, or a rectangle about
    equal to the box, which follows no edge of the object.
    """
    if not len(boxes):
        return []
    answers = segmenter.segment_boxes(image, boxes)
    return [_usable(mask, box) for mask, box in zip(answers, boxes, strict=True)]


def _usable(mask: Mask, box: NDArray[np.floating[Any]]) -> Mask | None:
    pixels = int(mask.bitmap.sum())
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    if not pixels or pixels < _LEAST_SHARE * area:
        return None
    rows, columns = (np.flatnonzero(mask.bitmap.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    tight = mask.bitmap[top : rows[-1] + 1, left : columns[-1] + 1]
    found = Mask(tight, mask.left + left, mask.top + top)
    filled = found.left, found.top, found.left + tight.shape[1], found.top + tight.shape[0]
    return None if tight.all() and box_iou(filled, box)[0, 0] > _SAME_BOX else found
