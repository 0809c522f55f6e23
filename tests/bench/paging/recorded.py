"""A set and a model's answers as a home would hold them after a round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cvat_bridge.evaluations.appearance import AppearanceRecorder, AppearanceStore
from cvat_bridge.evaluations.evaluated_frames import EvaluatedFrame, FrameLocation
from cvat_bridge.evaluations.pools import PoolImage, record_pool
from cvat_bridge.evaluations.recording import record
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from tests.bench.paging.sets import Set
from trainer.data.annotations import AnnotatedImage
from trainer.data.fingerprints import difference_hash
from trainer.detections import Detections

NOW = "2026-01-01"


def record_holdout(
    home: Home,
    ledger: Ledger,
    data: Set,
    answers: Mapping[str, Detections],
    model: str,
    looks: AppearanceStore,
) -> None:
    """Record the matches on the holdout."""
    frames = [
        EvaluatedFrame(
            _where(data, image),
            np.array([o.box for o in image.objects], float).reshape(-1, 4),
            tuple(data.classes[o.class_id] for o in image.objects),
            np.zeros((0, 4)),
            answers[image.file_name],
            lambda image=image: data.read(image),  # type: ignore[misc]
        )
        for image in data.part("holdout")
    ]
    record(
        home,
        ledger,
        frames,
        model=model,
        source="holdout",
        number=1,
        classes=data.classes,
        names=data.classes,
        appearance=looks,
        threshold=None,
        now=NOW,
    )


def record_the_pool(
    home: Home,
    ledger: Ledger,
    data: Set,
    answers: Mapping[str, Detections],
    model: str,
    looks: AppearanceStore,
) -> None:
    """Record what the model sees in the pool."""
    witness, places = AppearanceRecorder(looks, model), []
    with PredictionStore(home.predictions, model, labels=data.classes) as store:
        for image in data.part("pool"):
            pixels, found = data.read(image), answers[image.file_name]
            key = data.hashes[image.file_name]
            store.put({key: found})
            witness({key: pixels}, {key: found})
            places.append(PoolImage(_where(data, image), difference_hash(pixels)))
    record_pool(home, ledger, places, model=model, number=1, appearance=looks, now=NOW)


def frame_number(data: Set, image: AnnotatedImage) -> int:
    """Return the place of a frame in its set, which stands for its number in CVAT."""
    return next(n for n, one in enumerate(data.dataset.images) if one is image)


def _where(data: Set, image: AnnotatedImage) -> FrameLocation:
    return FrameLocation(
        task=data.tasks[image.file_name],
        frame=frame_number(data, image),
        job=1,
        image=data.hashes[image.file_name],
        suffix=Path(image.file_name).suffix,
        width=image.width,
        height=image.height,
    )
