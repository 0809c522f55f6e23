"""A few images of a set, with a val part, as a dataset of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trainer.dataset import load_dataset
from trainer.snapshot import write_dataset


def some_of(data: Path, folder: Path, *, train: int) -> Path:
    """Write the first `train` images of the train part, and a third as many after them as val."""
    whole = load_dataset(data)
    images = whole.split("train")[: train + train // 3]
    parts = [
        replace(image, split="train" if place < train else "val")
        for place, image in enumerate(images)
    ]
    sources = {image.file_name: whole.file(image) for image in images}
    return write_dataset(folder, labels=whole.labels, images=parts, sources=sources).path
