"""Real fits with a planted blind spot: what the plant picks is missing from the learning part.

Heads on frozen ImageNet features (see tests/bench/selecting/frozen.py), so that a fit takes about a
minute. Objects that the plant picks lose their labels; frames that lose all of theirs are left out.
Answers on the holdout and the pool are kept on disk, so that a killed bench goes on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvat_bridge.frames.predictions import PredictionStore
from tests.bench.paging.plants import Plant
from tests.bench.paging.sets import Set
from tests.bench.selecting.frozen import Frozen
from tests.bench.selecting.ways import Steps
from trainer.data.annotations import AnnotatedImage
from trainer.detections import Detections

LEAST_SCORE = 0.02
SIZE = (160, 208)
STEPS = Steps(passes=5, least=80, most=110)


def learning_part(data: Set, plant: Plant | None) -> tuple[AnnotatedImage, ...]:
    """Return the frames to learn from, without what the plant picks."""
    kept = []
    for image in data.part("learn"):
        objects = tuple(o for o in image.objects if plant is None or not plant.picks(image, o))
        if objects:
            kept.append(replace(image, objects=objects, split="train"))
    return tuple(kept)


def answers_of(
    data: Set, plant: Plant | None, way: Frozen, cache: Path, *, seed: int = 0, fit: bool = True
) -> dict[str, Detections] | None:
    """Return what the model with this plant says of the holdout and the pool, by file name.

    fit: False gives None where the fit is not on disk yet.
    """
    images = learning_part(data, plant)
    told = [way.key, seed, [[i.file_name, len(i.objects)] for i in images], LEAST_SCORE]
    model = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]
    judged = [*data.part("holdout"), *data.part("pool")]
    with PredictionStore(cache, model, labels=data.classes) as store:
        known = store.get(image.file_name for image in judged)
        if len(known) == len(judged):
            return known
        if not fit:
            return None
        folder = cache / f"fit-{model}"
        dataset = replace(data.dataset, images=images)
        if not (folder / "heads.pt").exists():
            folder.mkdir(parents=True, exist_ok=True)
            way.fit(dataset, folder, seed=seed)
        detector = way.open(folder, dataset)
        for image in judged:
            (found,) = detector.detect([data.read(image)], min_score=LEAST_SCORE)
            best = np.argsort(-found.scores, kind="stable")[:300]
            store.put(
                {
                    image.file_name: Detections(
                        found.boxes[best], found.scores[best], found.class_ids[best]
                    )
                }
            )
        return store.get(image.file_name for image in judged)


def default_way() -> Frozen:
    """Return the way in which the bench learns."""
    return Frozen(STEPS, SIZE, 16)
