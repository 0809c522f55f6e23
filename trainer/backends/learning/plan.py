"""Plan a detector's training from the data: input size, tiles, batch size, steps.

Takes the sizes of frames and objects, returns settings and a sentence; reads no files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.data.annotations import AnnotatedImage
from trainer.detector import FitConfig

SIDE = 24.0  # input pixels that a small object (the lower quartile) should have
LEAST_AREA = 0.05  # megapixels of the input; smaller ones cost AP at high IoU
MOST_AREA = 0.26  # megapixels, however much time is available
PACE = 1.6  # seconds of training per megapixel on one processor core
SAMPLES = 3000  # frames or tiles that a fit should process at least within its time
ENLARGED = 2.0  # the largest factor by which a frame is enlarged
TILED = 2.0  # frames are tiled when the desired area is more than this many times MOST_AREA
MOST_CANVAS = 3.0  # megapixels of a frame that is cut into tiles
UNIT = 32  # pixels; the coarsest features have this stride
PASSES = 30  # epochs of a cycle; further cycles follow as long as validation improves
FEWEST, MOST = 250, 4000  # steps of a cycle
SECONDS = 780.0  # of training, on processor cores


@dataclass(frozen=True)
class TrainingPlan:
    """The settings chosen for a fit.

    image_size: (height, width) of the input. canvas: (height, width) to which a frame is resized
    before it is cut into tiles of image_size, or None when the input takes the whole frame. steps:
    batches per cycle of the learning rate. restarts: whether cycles repeat. seconds: time limit of
    training. frames: number of training frames. median, side: pixels of the median object in the
    frame, and at the input.
    """

    image_size: tuple[int, int]
    canvas: tuple[int, int] | None
    batch_size: int
    steps: int
    seconds: float | None
    frames: int
    median: float
    side: float
    restarts: bool = True

    @property
    def sentence(self) -> str:
        """Return the plan in words."""
        size, canvas = self.image_size, self.canvas
        whole = (
            f"an input of {size[0]}x{size[1]}"
            if canvas is None
            else f"tiles of {size[0]}x{size[1]} out of frames scaled to {canvas[0]}x{canvas[1]}"
        )
        limit = "" if self.seconds is None else f", for {self.seconds / 60:.0f} minutes at most"
        duration = (
            f"cycles of {self.steps} steps over {self.frames} frames, as long as the validation AP "
            "gains"
            if self.restarts
            else f"{self.steps} steps over {self.frames} frames"
        )
        return (
            f"{whole}, where the median object of {self.median:.0f} px in the frame has "
            f"{self.side:.0f} px; batches of {self.batch_size}; {duration}{limit}"
        )


def plan(
    images: Sequence[AnnotatedImage],
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int | None = None,
    seconds: float | None = SECONDS,
    cores: int = 2,
    tiles: bool = True,
) -> TrainingPlan:
    """Plan the training on these frames, which contain at least one object.

    image_size, batch_size: values set by a person, or None. seconds: time limit of training, or
    None for no limit. cores: of the processor. tiles: whether frames may be cut into tiles.
    """
    most = MOST_AREA
    if seconds is not None:
        most = min(max(seconds * cores / PACE / SAMPLES, LEAST_AREA), MOST_AREA)
    shapes = np.array([(image.height, image.width) for image in images], float)
    areas = shapes.prod(axis=1)
    frame = math.sqrt(float(np.median(areas)))  # the side of a square frame of the usual area
    sides = np.array(
        [
            math.sqrt((o.box[2] - o.box[0]) * (o.box[3] - o.box[1])) / math.sqrt(area)
            for image, area in zip(images, areas, strict=True)
            for o in image.objects
            if not o.crowd
        ]
    )
    quartile, median = (float(value) * frame for value in np.quantile(sides, (0.25, 0.5)))
    aspect = float(np.exp(np.median(np.log(shapes[:, 0] / shapes[:, 1]))))
    canvas: tuple[int, int] | None = None
    if image_size is None:
        wished = frame**2 * min(SIDE / quartile, ENLARGED) ** 2 / 1e6
        if tiles and wished > TILED * most:
            canvas = _size(min(wished, MOST_CANVAS), aspect)
            tile = _size(most, aspect)
            image_size = min(tile[0], canvas[0]), min(tile[1], canvas[1])
        else:
            image_size = _size(min(max(wished, LEAST_AREA), most), aspect)
    assert image_size is not None  # noqa: S101 for the type checker alone
    seen = canvas or image_size
    scale = math.sqrt(seen[0] * seen[1]) / frame
    batch = batch_size or (8 if image_size[0] * image_size[1] <= 0.15e6 else 4)
    pieces = 1.0 if canvas is None else (canvas[0] * canvas[1]) / (image_size[0] * image_size[1])
    steps = math.ceil(PASSES * len(images) * pieces / batch)
    steps = min(max(steps, FEWEST), MOST)
    return TrainingPlan(
        image_size, canvas, batch, steps, seconds, len(images), median, median * scale
    )


def with_planned_size(images: Sequence[AnnotatedImage], config: FitConfig) -> FitConfig:
    """Return the config with an input size chosen from the data, if none is set."""
    if "image_size" not in config.automatic or config.image_size != FitConfig("").image_size:
        return config
    return replace(config, image_size=plan(images, tiles=False).image_size)


def _size(megapixels: float, aspect: float) -> tuple[int, int]:
    """Return (height, width) of about that area and aspect, both multiples of UNIT."""
    aspect = min(max(aspect, 0.5), 2.0)
    width = math.sqrt(megapixels * 1e6 / aspect)
    return max(UNIT, round(width * aspect / UNIT) * UNIT), max(UNIT, round(width / UNIT) * UNIT)
