"""Detectors drawn by chance, so that what they fail on is known."""

from __future__ import annotations

import numpy as np

from tests.bench.paging.plants import Plant
from trainer.data.annotations import AnnotatedImage
from trainer.detections import Detections

RECALL, BLIND = 0.85, 0.3  # of objects; of a plant's objects
GHOSTS, DOUBTS = 0.1, 1.0  # answers where nothing is, an object: sure ones, and those of low score
_FRAME = 0.8  # spread of what makes all objects of a frame hard, in logits


def answer(
    image: AnnotatedImage, plant: Plant | None, classes: int, rng: np.random.Generator
) -> Detections:
    """Answer a frame; objects of the plant are found seldom."""
    boxes, scores, ids = [], [], []
    hard = rng.normal(0, _FRAME)
    for item in image.objects:
        blind = plant is not None and plant.picks(image, item)
        chance = BLIND if blind else RECALL
        chance = 1 / (1 + np.exp(-(np.log(chance / (1 - chance)) + hard)))
        x1, y1, x2, y2 = item.box
        wide, high = x2 - x1, y2 - y1
        if rng.random() < chance:
            moved = rng.normal(0, 0.05, 4) * (wide, high, wide, high)
            boxes.append(np.array(item.box) + moved)
            scores.append(rng.beta(6, 2))
            ids.append(item.class_id)
        elif rng.random() < 0.5:  # a doubtful answer
            boxes.append(np.array(item.box) + rng.normal(0, 0.08, 4) * (wide, high, wide, high))
            scores.append(rng.uniform(0.05, 0.25))
            ids.append(item.class_id)
        for many, least, most in ((GHOSTS, 0.3, 0.8), (DOUBTS, 0.05, 0.3)):
            # Of the class and size of some object of the frame, at any place that it fits in.
            for _ in range(int(rng.poisson(many))):
                x, y = rng.uniform(0, image.width - wide), rng.uniform(0, image.height - high)
                boxes.append(np.array([x, y, x + wide, y + high]))
                scores.append(rng.uniform(least, most))
                ids.append(item.class_id)
    table = np.array(boxes, np.float32).reshape(-1, 4)
    table = np.clip(table, 0, [image.width, image.height] * 2).astype(np.float32)
    table[:, 2:] = np.maximum(table[:, 2:], table[:, :2] + 1)
    order = np.argsort(-np.array(scores, float))
    return Detections(
        boxes=table[order],
        scores=np.array(scores, np.float32)[order],
        class_ids=np.array(ids, np.int64)[order],
    )
