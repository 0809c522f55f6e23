"""A development set as the loop would have it: a part to learn from, a holdout, a pool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvat_bridge.evaluations.attributes import FrameAppearance, measure_appearance
from cvat_bridge.evaluations.clusters import clusters_of
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.images import RGBImage
from trainer.embedding import Descriptor

TASKS = 6


@dataclass(frozen=True)
class Set:
    """parts: file name → "learn", "holdout" or "pool". tasks: frames that look alike, as numbers.

    hashes: what stands for the sha256 of each file.
    """

    name: str
    dataset: Dataset
    parts: dict[str, str]
    looks: dict[str, FrameAppearance]
    tasks: dict[str, int]
    hashes: dict[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return tuple(self.dataset.labels)

    def part(self, name: str) -> list[AnnotatedImage]:
        """Return the frames of a part."""
        return [image for image in self.dataset.images if self.parts[image.file_name] == name]

    def read(self, image: AnnotatedImage) -> RGBImage:
        """Read a frame."""
        return self.dataset.read(image)


def read_set(folder: Path, *, learn: float = 0.4, holdout: float = 0.3, seed: int = 0) -> Set:
    """Divide a set at random; tasks are clusters of frames that look alike."""
    dataset = load_dataset(folder)
    order = np.random.default_rng(seed).permutation(len(dataset.images))
    cuts = np.cumsum([learn, holdout]) * len(order)
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    parts = {
        image.file_name: ("learn", "holdout", "pool")[int(np.searchsorted(cuts, n, side="right"))]
        for image, n in zip(dataset.images, place.tolist(), strict=True)
    }
    pixels = {image.file_name: dataset.read(image) for image in dataset.images}
    vectors = Descriptor().embed(list(pixels.values()))
    # Frames of one kind of scene were filmed for one task.
    _, kinds = clusters_of(vectors)
    return Set(
        name=folder.name,
        dataset=dataset,
        parts=parts,
        looks={name: measure_appearance(one) for name, one in pixels.items()},
        tasks={i.file_name: int(k) + 1 for i, k in zip(dataset.images, kinds, strict=True)},
        hashes={name: hashlib.sha256(name.encode()).hexdigest() for name in pixels},
    )
