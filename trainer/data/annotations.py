"""Labels: a frame, its objects, and their masks as bitmaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test", "holdout")


@dataclass(frozen=True)
class AnnotatedObject:
    """One object of a frame.

    box: x1 y1 x2 y2 in pixels, inside the image, not empty. class_id: into Dataset.labels.
    segmentation: polygons ([x1, y1, x2, y2, …] each) or a COCO run-length mask ({"size", "counts"}
    with counts as text or as numbers), or None for a box. crowd: COCO's iscrowd, a region of
    uncounted objects; never trained on, never counted as missed. extra: all other keys of the row.
    """

    class_id: int
    box: tuple[float, float, float, float]
    segmentation: list[list[float]] | dict[str, Any] | None = None
    crowd: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def bitmap(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the object's mask, (height, width) of the image; its box if it has no mask."""
        if self.segmentation is None:
            mask = np.zeros((height, width), np.bool_)
            x1, y1, x2, y2 = (round(v) for v in self.box)
            mask[y1:y2, x1:x2] = True
            return mask
        return decode_mask(self.segmentation, height, width)


@dataclass(frozen=True)
class AnnotatedImage:
    """One frame and its labels; a frame without objects is a negative example.

    file_name: relative to the images folder, unique. width, height: pixels, as annotated. split:
    one of SPLITS. group: video, scene or near-duplicates, or None. extra: all other keys.
    """

    file_name: str
    width: int
    height: int
    split: str = "train"
    group: str | None = None
    objects: tuple[AnnotatedObject, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def decode_mask(
    segmentation: list[list[float]] | Mapping[str, Any], height: int, width: int
) -> NDArray[np.bool_]:
    """Return COCO polygons or a run-length mask as a bitmap, (height, width)."""
    from pycocotools import mask as coco

    if isinstance(segmentation, list):
        parts = coco.frPyObjects(segmentation, height, width)
        return np.asarray(coco.decode(coco.merge(parts)), np.bool_)
    counts = segmentation["counts"]
    run_lengths = (
        coco.frPyObjects(dict(segmentation), height, width)
        if isinstance(counts, list)
        else dict(segmentation)
    )
    return np.asarray(coco.decode(run_lengths), np.bool_)


def encode_mask(bitmap: NDArray[np.bool_]) -> dict[str, Any]:
    """Return COCO's compressed run-length mask of a full-image bitmap: size, counts."""
    from pycocotools import mask as coco

    packed = coco.encode(np.asfortranarray(bitmap, np.uint8))
    return {"size": list(bitmap.shape), "counts": packed["counts"].decode("ascii")}
