"""What people marked: one frame, its objects, and their masks as bitmaps."""

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

    box: x1 y1 x2 y2 in pixels, inside the image, of some area. class_id: into Dataset.labels.
    segmentation: polygons ([x1, y1, x2, y2, …] each) or a COCO run-length mask ({"size", "counts"}
    with counts as text or as numbers), or None for a box. crowd: COCO's iscrowd, a region whose
    objects nobody counted; never learnt from, never a miss. extra: all other keys of the row.
    """

    class_id: int
    box: tuple[float, float, float, float]
    segmentation: list[list[float]] | dict[str, Any] | None = None
    crowd: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def bitmap(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the object's mask, (height, width) of the image; the box where it has none."""
        if self.segmentation is None:
            mask = np.zeros((height, width), np.bool_)
            x1, y1, x2, y2 = (round(v) for v in self.box)
            mask[y1:y2, x1:x2] = True
            return mask
        return decode_mask(self.segmentation, height, width)


@dataclass(frozen=True)
class AnnotatedImage:
    """One frame and what people marked in it; no object at all is an answer (a negative).

    file_name: under the images folder, distinct. width, height: pixels, as annotated.
    split: of SPLITS. group: video, scene or near-duplicates, or None. extra: all other keys.
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
    """Return polygons or a run-length mask of COCO as a bitmap, (height, width)."""
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
    """Return COCO's compressed run lengths of a bitmap over a whole image: size, counts."""
    from pycocotools import mask as coco

    packed = coco.encode(np.asfortranarray(bitmap, np.uint8))
    return {"size": list(bitmap.shape), "counts": packed["counts"].decode("ascii")}
