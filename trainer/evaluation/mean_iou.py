"""Class maps of labels and predictions, and their mean IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Card
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.detections import Detections

IGNORE_INDEX = -1  # class of crowd pixels, which do not count


def of_pixels(card: Card) -> bool:
    """Return whether a model is a semantic segmentation, which mean IoU measures."""
    return card.engine == "semantic"


def class_map(image: AnnotatedImage) -> NDArray[np.int16]:
    """Return the class of every pixel of the image, (height, width).

    0 is the background, then the classes in order; IGNORE_INDEX in crowd regions. Where objects
    overlap, the smaller one wins.
    """
    found = np.zeros((image.height, image.width), np.int16)
    drawn = [(o.bitmap(image.height, image.width), o) for o in image.objects]
    for bitmap, item in sorted(drawn, key=lambda pair: (not pair[1].crowd, -int(pair[0].sum()))):
        found[bitmap] = IGNORE_INDEX if item.crowd else item.class_id + 1
    return found


def predicted_map(
    detections: Detections, size: tuple[int, int], places: Sequence[int]
) -> NDArray[np.int16]:
    """Return the predicted class of every pixel, (height, width) = size.

    places: for each class of the model, its index in the dataset's labels, or -1. Where masks
    overlap, the one with the higher score wins.
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
    """Return {"miou"}: IoU of the pixels of each class over all frames, averaged over the classes.

    predictions: with masks, one for each frame of the split, in order. names: the classes that
    class_ids index. Classes without pixels in the split and the background do not count; without
    any class the result is {}. (Everingham et al., The PASCAL VOC challenge, 2010.)
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
