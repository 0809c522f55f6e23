"""Write labels in ultralytics' format: a text file per image, a row per object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.data.snapshot import link
from trainer.errors import DatasetError

_NAMES = {"train": "train", "val": "val", "test": "test", "holdout": "test"}


def write_yolo(dataset: Dataset, parts: Mapping[str, Sequence[AnnotatedImage]], out: Path) -> Path:
    """Write the parts and return data.yaml.

    Coordinates are relative to the image size. A row is "class x y width height", or, if all
    objects of the dataset have masks, "class x1 y1 x2 y2 …": the largest outline, since a row holds
    one. Crowds are skipped. data.yaml names no path, so paths are relative to it, and always a val
    split, which ultralytics requires: without a val part it is test, else train. Raises
    DatasetError when two images would share a label file.
    """
    objects = [o for images in parts.values() for i in images for o in i.objects if not o.crowd]
    masks = bool(objects) and all(o.segmentation is not None for o in objects)
    for part, images in parts.items():
        stems: dict[str, str] = {}
        for image in images:
            stem = str(Path(image.file_name).with_suffix(""))
            if stem in stems:
                raise DatasetError(
                    dataset.path,
                    f"images {stems[stem]} and {image.file_name}",
                    "would share a label file; rename one",
                )
            stems[stem] = image.file_name
            link(dataset.file(image), out / "images" / part / image.file_name)
            path = out / "labels" / part / f"{stem}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [_row(o, image, masks=masks) for o in image.objects if not o.crowd]
            path.write_text("".join(r for r in rows if r), encoding="utf-8")
    present = {_NAMES[part]: f"images/{part}" for part in parts}
    present.setdefault("train", next(iter(present.values())))
    present.setdefault("val", present.get("test", present["train"]))
    names = dict(enumerate(dataset.labels))
    data = out / "data.yaml"
    # With a YAML library: YAML does not read JSON's escapes of letters beyond U+FFFF.
    values = {**present, "names": names}
    data.write_text(yaml.safe_dump(values, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return data


def _row(item: AnnotatedObject, image: AnnotatedImage, *, masks: bool) -> str:
    size = np.array([image.width, image.height], np.float64)
    low, high = np.array(item.box[:2]), np.array(item.box[2:])
    numbers = np.concatenate([(low + high) / 2 / size, (high - low) / size])
    if masks:
        bitmap = item.bitmap(image.height, image.width).astype(np.uint8)
        found, _ = cv2.findContours(bitmap, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines = [c.reshape(-1, 2).astype(np.float64) + 0.5 for c in found if len(c) >= 3]
        if not outlines:
            return ""
        numbers = (max(outlines, key=_area) / size).ravel()
    return " ".join([str(item.class_id), *(f"{v:.6f}" for v in np.clip(numbers, 0, 1))]) + "\n"


def _area(outline: NDArray[np.float64]) -> float:
    return float(cv2.contourArea(outline.astype(np.float32)))
