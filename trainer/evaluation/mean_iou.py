"""The class of every pixel, by people and by a model, and how far the two overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Card
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.detections import Detections

IGNORE_INDEX = -1  # where a crowd is


def of_pixels(card: Card) -> bool:
    """Whether a model names the class of every pixel, so that mean IoU is its measure."""
    return card.engine == "semantic"


def class_map(image: AnnotatedImage) -> NDArray[np.int16]:
    """Return the class of every pixel of the image, (height, width).

    0 is the background, then the classes in order; IGNORE_INDEX where a crowd is. Where objects
    overlap, the smaller one is seen.
    """
    found = np.zeros((image.height, image.width), np.int16)
    drawn = [(o.bitmap(image.height, image.width), o) for o in image.objects]
    for bitmap, item in sorted(drawn, key=lambda pair: (not pair[1].crowd, -int(pair[0].sum()))):
        found[bitmap] = IGNORE_INDEX if item.crowd else item.class_id + 1
    return found


def predicted_map(
    detections: Detections, size: tuple[int, int], places: Sequence[int]
) -> NDArray[np.int16]:
    """Return the class of every pixel by a model of masks, (height, width) = size.

    places: for each class of the model, its place in the dataset's labels, or -1. Where masks
    overlap, the better one is seen.
    """
    found = np.zeros(size, np.int16)
    for n in reversed(range(len(detections))):
        mask = (detections.masks or ())[n]
        rows, columns = mask.bitmap.shape
        part = found[mask.top : mask.top + rows, mask.left : mask.left + columns]
        part[mask.bitmap] = places[int(detections.class_ids[n])] + 1
    return found


def mean_iou(
    predictions: Sequence[Detections], dataset: Dataset, split: str, names: Sequence[str]
) -> Mapping[str, float]:
    """Return {"miou"}: IoU of the pixels of each class over all frames, meaned over the classes.

    answers: one a frame of the part, in its order, with masks. names: what their class_ids point
    into. Classes of which the part has no pixel do not count, and neither does the background;
    no such class at all gives {}. (Everingham et al., The PASCAL VOC challenge, 2010.)
    """
    place = {name: n for n, name in enumerate(dataset.labels)}
    places = [place.get(name, -1) for name in names]
    count = len(dataset.labels) + 1
    both = np.zeros((count, count), np.int64)
    for image, detections in zip(dataset.split(split), predictions, strict=True):
        truth = class_map(image)
        known = truth != IGNORE_INDEX
        found = predicted_map(detections, truth.shape, places)
        pairs = truth[known].astype(np.int64) * count + found[known]
        both += np.bincount(pairs, minlength=count * count).reshape(count, count)
    there = np.flatnonzero(both.sum(axis=1)[1:]) + 1
    if not len(there):
        return {}
    union = both.sum(axis=1) + both.sum(axis=0) - both.diagonal()
    return {"miou": float((both.diagonal()[there] / union[there]).mean())}
