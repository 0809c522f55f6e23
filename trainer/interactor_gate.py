"""The gate of an interactor, which says whether what a project taught may serve it.

Both get the four extreme points of the same objects of the holdout. The challenger serves only if
its mean IoU is higher, beyond the noise of a holdout of that size, by a paired bootstrap over
frames as in trainer.promote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.annotator import four_points, iou
from trainer.dataset import Dataset
from trainer.errors import ComparisonError
from trainer.interactor import Interactor

LEAST_AREA = 40  # pixels; below, a mask has no shape to speak of
_RESAMPLES = 2000


@dataclass(frozen=True)
class FourClicks:
    """IoU at four points of the objects of a split. ious: (N,); frames: (N,) which frame."""

    ious: NDArray[np.float64]
    frames: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """The mean over the objects; NaN where there are none."""
        return float(self.ious.mean()) if len(self.ious) else float("nan")


@dataclass(frozen=True)
class Verdict:
    """What the gate says, and why in sentences. gain: of the mean IoU, with its lower bound."""

    promoted: bool
    reasons: tuple[str, ...]
    gain: float
    gain_low: float


def measure(
    interactor: Interactor,
    dataset: Dataset,
    *,
    split: str = "holdout",
    most: int = 400,
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> FourClicks:
    """Return the IoU at four points on the objects with masks of a split, at most so many.

    Objects in several parts are left out: no four points tell their extent. told(done, total)
    after each frame.
    """
    images = dataset.split(split)
    ious: list[float] = []
    frames: list[int] = []
    for place, image in enumerate(images):
        wanted = [o for o in image.objects if not o.crowd and o.segmentation is not None]
        if wanted and len(ious) < most:
            data = dataset.file(image).read_bytes()
            for found in wanted:
                mask = found.bitmap(image.height, image.width)
                if int(mask.sum()) >= LEAST_AREA:
                    ious.append(_one(interactor, data, mask))
                    frames.append(place)
        told(place + 1, len(images))
    return FourClicks(np.array(ious[:most]), np.array(frames[:most], np.int64))


def judge(
    champion: FourClicks,
    challenger: FourClicks,
    *,
    rng: np.random.Generator,
    confidence: float = 0.9,
    min_objects: int = 10,
) -> Verdict:
    """Compare two measurements of the same objects.

    confidence: how sure the gain must be above 0. min_objects: fewer cannot tell models apart.
    Raises ComparisonError when the objects differ.
    """
    if not np.array_equal(champion.frames, challenger.frames):
        raise ComparisonError([f"{len(champion.ious)} and {len(challenger.ious)} objects"])
    count = len(champion.ious)
    if count < min_objects:
        reason = f"{count} masks in the holdout, {min_objects} are needed to judge"
        return Verdict(False, (reason,), float("nan"), float("nan"))
    gains = challenger.ious - champion.ious
    low = _lower_bound(gains, champion.frames, rng, confidence)
    gain = float(gains.mean())
    told = (
        f"IoU at four points {challenger.mean:.3f} against {champion.mean:.3f} on {count} objects",
        f"gain {gain:+.3f}, at least {low:+.3f} with confidence {confidence:g}",
    )
    return Verdict(low > 0, told, gain, low)


def _lower_bound(
    gains: NDArray[np.float64],
    frames: NDArray[np.int64],
    rng: np.random.Generator,
    confidence: float,
) -> float:
    _, index = np.unique(frames, return_inverse=True)
    sums, counts = np.bincount(index, gains), np.bincount(index)
    drawn = rng.integers(0, len(sums), (_RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return float(np.quantile(means, 1 - confidence))


def _one(interactor: Interactor, data: bytes, mask: NDArray[np.bool_]) -> float:
    candidates, size = interactor.segment(
        data, positive=four_points(mask), negative=np.zeros((0, 2)), box=None
    )
    frame = np.zeros(size, np.bool_)
    best = max(candidates, key=lambda found: found.confidence).mask
    height, width = best.bitmap.shape
    frame[best.top : best.top + height, best.left : best.left + width] = best.bitmap
    return iou(frame, mask)
