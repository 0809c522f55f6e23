"""What bears on why a model does not serve yet: sizes of objects, examples, figures of rounds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.ledger.records import Round
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset

_DEVICES = Path("/dev")


@dataclass(frozen=True)
class ObjectSize:
    """How large objects are.

    side: square root of the median object's area in pixels of the network's input. input_size:
    its (height, width). most: by how much the input could grow before images of the median size
    are scaled up, which shows nothing new.
    """

    side: float
    input_size: tuple[int, int]
    most: float


def object_size(images: Sequence[AnnotatedImage], input_size: tuple[int, int]) -> ObjectSize | None:
    """Measure objects as the network sees them: images fit into its input as a whole.

    None where there is no object.
    """
    height, width = input_size
    scales = [min(height / image.height, width / image.width) for image in images]
    sides = [
        scale * ((o.box[2] - o.box[0]) * (o.box[3] - o.box[1])) ** 0.5
        for image, scale in zip(images, scales, strict=True)
        for o in image.objects
        if not o.crowd
    ]
    if not sides:
        return None
    return ObjectSize(statistics.median(sides), input_size, 1 / statistics.median(scales))


def examples(dataset: Dataset) -> dict[str, int]:
    """Count the labelled objects of each class in what is learnt from."""
    counts = Counter(o.class_id for i in dataset.split("train") for o in i.objects if not o.crowd)
    return {name: counts[place] for place, name in enumerate(dataset.labels)}


def curve_of(rounds: Sequence[Round], key: str = "ap50") -> tuple[tuple[int, float], ...]:
    """Return (labelled frames, figure of the challenger) of the rounds with a fit, oldest first."""
    points = []
    for row in rounds:
        challenger: Mapping[str, float | None] = row.figures.get("challenger") or {}
        value, labelled = challenger.get(key), row.figures.get("train")
        if value is not None and labelled:
            points.append((int(labelled), float(value)))
    return tuple(points)


def has_gpu() -> bool:
    """Return whether this machine has an NVIDIA GPU, without loading torch."""
    return any(_DEVICES.glob("nvidia[0-9]*"))
