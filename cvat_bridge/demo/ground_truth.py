"""What is really in the demo's images, found by the content of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.data.dataset import load_dataset

Box = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels


@dataclass(frozen=True)
class TrueObject:
    """An object that is really there."""

    label: str
    box: Box


@dataclass(frozen=True)
class GroundTruth:
    """All objects of all images, by sha256 of the image file, and the files by part."""

    labels: tuple[str, ...]
    objects: Mapping[str, tuple[TrueObject, ...]]
    pool: tuple[Path, ...]
    holdout: tuple[Path, ...]


def read_truth(folder: Path, *, holdout_limit: int | None = None) -> GroundTruth:
    """Read a folder in COCO form: its part "test" (or "holdout") judges, the rest is the pool."""
    dataset = load_dataset(folder)
    objects: dict[str, tuple[TrueObject, ...]] = {}
    parts: dict[bool, list[Path]] = {True: [], False: []}
    for image in dataset.images:
        path = dataset.file(image)
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        objects[key] = tuple(
            TrueObject(dataset.labels.name_of(found.class_id), found.box) for found in image.objects
        )
        parts[image.split in ("test", "holdout")].append(path)
    if not parts[True]:  # a set without a test part: every fifth image judges
        parts[True] = parts[False][::5]
        parts[False] = [path for path in parts[False] if path not in set(parts[True])]
    return GroundTruth(
        tuple(dataset.labels),
        objects,
        tuple(parts[False]),
        tuple(parts[True][:holdout_limit]),
    )
