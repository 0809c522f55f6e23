"""How a detector is learnt, where nobody said: input size, tiles, batch, steps, from the data.

Numbers of frames and objects in, settings and a sentence out; nothing is read here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.data.annotations import AnnotatedImage
from trainer.detector import FitConfig

SIDE = 24.0  # input pixels that a smaller object (the quartile) should have
LEAST_AREA = 0.05  # megapixels of the input; smaller ones cost AP at high IoU
MOST_AREA = 0.26  # megapixels, however much time there is
PACE = 1.6  # seconds a megapixel that one processor core learns from
SAMPLES = 3000  # frames or tiles that a fit should see at least in the time it has
ENLARGED = 2.0  # a frame is enlarged at most so much
TILED = 2.0  # where the wished area is more than so many times MOST_AREA, frames are cut into tiles
MOST_CANVAS = 3.0  # megapixels of a frame that is cut into tiles
UNIT = 32  # pixels; the coarsest features have this stride
PASSES = 30  # epochs of a cycle; others follow as long as validation gains
FEWEST, MOST = 250, 4000  # steps of a cycle
SECONDS = 780.0  # of learning, on processor cores


@dataclass(frozen=True)
class TrainingPlan:
    """What is chosen.

    image_size: (height, width) of the input. canvas: (height, width) that a frame is scaled into
    before it is cut into tiles of image_size, or None where the input takes the whole frame.
    steps: batches of a cycle of the learning rate. restarts: whether cycles follow one another.
    seconds: of learning at most. frames: that are learnt from. median, side: pixels of the median
    object in the frame, and at the input.
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
        """The choice in words."""
        size, canvas = self.image_size, self.canvas
        whole = (
            f"an input of {size[0]}x{size[1]}"
            if canvas is None
            else f"tiles of {size[0]}x{size[1]} out of frames scaled to {canvas[0]}x{canvas[1]}"
        )
        limit = "" if self.seconds is None else f", for {self.seconds / 60:.0f} minutes at most"
        learnt = (
            f"cycles of {self.steps} steps over {self.frames} frames, as long as the validation AP "
            "gains"
            if self.restarts
            else f"{self.steps} steps over {self.frames} frames"
        )
        return (
            f"{whole}, where the median object of {self.median:.0f} px in the frame has "
            f"{self.side:.0f} px; batches of {self.batch_size}; {learnt}{limit}"
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
    """Choose how to learn from these frames, which hold at least one object.

    image_size, batch_size: what a person has set, or None. seconds: of learning at most, or None
    where time is no matter. cores: of the processor. tiles: whether frames may be cut into tiles.
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
    """Return the config with the input size that the data asks for, where nobody set one."""
    if "image_size" not in config.automatic or config.image_size != FitConfig("").image_size:
        return config
    return replace(config, image_size=plan(images, tiles=False).image_size)


def _size(megapixels: float, aspect: float) -> tuple[int, int]:
    """Return (height, width) of about that area and aspect, both multiples of UNIT."""
    aspect = min(max(aspect, 0.5), 2.0)
    width = math.sqrt(megapixels * 1e6 / aspect)
    return max(UNIT, round(width * aspect / UNIT) * UNIT), max(UNIT, round(width / UNIT) * UNIT)
