"""How good the masks are that the shipped interactor makes of boxes: IoU with the true masks."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from serverless.store.folders import general_interactor
from tests.bench.interacting.objects import LEAST_AREA
from tests.bench.interacting.peers import full
from trainer.data.dataset import load_dataset
from trainer.engines.boxes_to_masks import load_segmenter, masks_of_boxes
from trainer.evaluation.simulated_annotator import iou


def masks_from_boxes(folder: Path, limit: int, split: str = "test") -> float:
    """Return the mean IoU of true masks and masks made of the true boxes, whole images given.

    folder: in COCO form with masks. limit: objects, drawn at random but always the same; tiny
    ones, whose mask has no shape to speak of, are left out. A box without a mask counts as 0;
    NaN where the part has no mask.
    """
    general = general_interactor()
    if general is None:
        raise FileNotFoundError("no interactor ships with this build")
    segmenter, dataset = load_segmenter(general, threads=1), load_dataset(folder)
    images = dataset.split(split)
    rows = [
        (place, found)
        for place, image in enumerate(images)
        for found in image.objects
        if not found.crowd
        and found.segmentation is not None
        and int(found.bitmap(image.height, image.width).sum()) >= LEAST_AREA
    ]
    by_image = defaultdict(list)
    for row in sorted(np.random.default_rng(5).permutation(len(rows))[:limit]):
        by_image[rows[row][0]].append(rows[row][1])
    ious: list[float] = []
    for place, objects in by_image.items():
        image = images[place]
        boxes = np.array([found.box for found in objects], np.float64)
        masks = masks_of_boxes(segmenter, dataset.read(image), boxes)
        size = (image.height, image.width)
        ious += [
            0.0 if mask is None else iou(full(mask, size), found.bitmap(*size))
            for mask, found in zip(masks, objects, strict=True)
        ]
    return float(np.mean(ious)) if ious else float("nan")
