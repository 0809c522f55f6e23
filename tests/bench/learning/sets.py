"""The sets of the learner's bench: a few labelled frames to learn from, and the test part."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset

SETS = ("raccoon_det", "bccd_det", "facemask_det", "ccp_seg", "nuclei_seg", "coco_seg200")
SIZES = (20, 40, 80, 160)
_COARSE = {
    "coco_seg200": {
        "person": ("person",),
        "animal": (
            *("bird", "cat", "dog", "horse", "sheep"),
            *("cow", "elephant", "bear", "zebra", "giraffe"),
        ),
        "vehicle": (
            *("bicycle", "car", "motorcycle", "airplane"),
            *("bus", "train", "truck", "boat"),
        ),
    }
}


def load_set(data: Path, name: str) -> Dataset:
    """Load a set; of coco_seg200 the boxes of people, animals and vehicles alone."""
    dataset = load_dataset(data / name)
    coarse = _COARSE.get(name)
    if coarse is None:
        return dataset
    labels = LabelMap(tuple(coarse))
    into = {fine: labels.id_of(label) for label, names in coarse.items() for fine in names}
    images = tuple(
        replace(
            image,
            objects=tuple(
                replace(o, class_id=into[dataset.labels.name_of(o.class_id)])
                for o in image.objects
                if dataset.labels.name_of(o.class_id) in into
            ),
        )
        for image in dataset.images
    )
    return replace(dataset, labels=labels, images=images)


def labelled(dataset: Dataset, folder: Path, *, frames: int, seed: int, test: int) -> Dataset:
    """Write the dataset of a project that has `frames` labelled frames, drawn at random.

    The frames of a smaller number are among those of a larger one. test: frames of the test part
    at most, the same for all.
    """
    known = {part: _ordered(dataset.split(part)) for part in ("train", "test")}
    random.Random(seed).shuffle(known["train"])
    random.Random(0).shuffle(known["test"])
    chosen = [*known["train"][:frames], *known["test"][:test]]
    images = [
        replace(
            image,
            objects=tuple(replace(o, segmentation=None) for o in image.objects),
            extra={},
        )
        for image in chosen
    ]
    sources = {image.file_name: dataset.file(image) for image in chosen}
    return write_dataset(folder, labels=dataset.labels, images=images, sources=sources)


def _ordered(images: tuple[AnnotatedImage, ...]) -> list[AnnotatedImage]:
    return sorted(images, key=lambda image: image.file_name)
