"""Detectors that answer what a test tells them, and bundles and requests to go with them."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from serverless.host.models import Model
from serverless.store.functions import Entry
from trainer.bundles.bundle import Bundle, write_bundle
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask

CLASSES = LabelMap(("cell", "platelet"))


def detections(*objects, masks=None) -> Detections:
    """objects: (x1, y1, x2, y2, score, class_id)."""
    table = np.array(objects, np.float32).reshape(-1, 6)
    return Detections(
        boxes=table[:, :4],
        scores=table[:, 4],
        class_ids=table[:, 5].astype(np.int64),
        masks=masks,
    )


@dataclass
class Scripted:
    """Answers every image with what `say` makes of it; notes the sizes of its batches."""

    say: Callable[[np.ndarray], Detections]
    labels: LabelMap = CLASSES
    batches: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    gate: threading.Event | None = None
    begun: threading.Event = field(default_factory=threading.Event)

    def detect(self, images: Sequence[np.ndarray], *, min_score: float) -> list[Detections]:
        self.begun.set()
        if self.gate is not None:
            self.gate.wait(30)
        self.batches.append(len(images))
        self.thresholds.append(min_score)
        return [self.say(image) for image in images]


def png(width: int = 40, height: int = 30, *, value: int = 100) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def request(image: bytes | None = None, **more) -> dict:
    return {"image": base64.b64encode(image or png()).decode(), **more}


def bundle(folder: Path, *, weights: bytes = b"weights", task: str = "boxes", **card) -> Bundle:
    source = folder.parent / f"{folder.name}.weights"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(weights)
    return write_bundle(
        folder,
        files={"model.onnx": source},
        **{
            "name": folder.name,
            "engine": "scripted",
            "task": task,
            "labels": CLASSES,
            "input_size": (32, 32),
            "min_score": 0.3,
            **card,
        },
    )


def entry_of(made: Bundle, **changes) -> Entry:
    values = {
        "id": "cells",
        "kind": "detector",
        "name": "Cells",
        "description": "finds cells",
        "bundle": made.path,
        "version": made.version,
    }
    return Entry(**(values | changes))


def model_of(made: Bundle, engine) -> Model:
    weight = sum((made.path / name).stat().st_size for name in made.card.files)
    return Model(made, engine, weight)


def square(size: int = 6, *, left: int = 5, top: int = 4) -> Mask:
    return Mask(np.ones((size, size), bool), left, top)
