"""Split a validation part off the train part of a dataset without one, deterministically."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import replace

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset

FEWEST_TRAIN = 12  # training frames below which nothing is split off
FEWEST, MOST = 4, 80  # frames of the validation part


def with_validation_part(dataset: Dataset, share: float) -> Dataset:
    """Return the dataset with a val part, if it has none and enough training frames.

    share: of the train frames. Frames of one group stay together, and every class keeps more than
    half of its objects in train. The choice depends only on file names, so most of it stays the
    same when more frames are labelled. The fingerprint stays that of the whole dataset.
    """
    train = dataset.split("train")
    if share <= 0 or dataset.split("val") or len(train) < FEWEST_TRAIN:
        return dataset
    target = min(max(math.ceil(share * len(train)), FEWEST), MOST)
    total, taken = _objects(train), Counter[int]()
    groups: dict[str, list[AnnotatedImage]] = {}
    for image in train:
        groups.setdefault(image.group or image.file_name, []).append(image)
    names: set[str] = set()
    for key in sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if len(names) >= target:
            break
        both = taken + _objects(groups[key])
        fits = len(names) + len(groups[key]) <= max(target, 1.5 * FEWEST)
        if fits and all(2 * both[label] < total[label] or not both[label] for label in both):
            taken = both
            names |= {image.file_name for image in groups[key]}
    if not names:
        return dataset
    images = tuple(
        replace(i, split="val") if i.split == "train" and i.file_name in names else i
        for i in dataset.images
    )
    return replace(dataset, images=images, origin=dataset.fingerprint)


def _objects(images: tuple[AnnotatedImage, ...] | list[AnnotatedImage]) -> Counter[int]:
    return Counter(o.class_id for image in images for o in image.objects if not o.crowd)
