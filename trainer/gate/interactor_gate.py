"""The gate of an interactor: decides whether a project's own interactor may serve.

Both receive the four extreme points of the same holdout objects. The challenger serves only if its
mean IoU is significantly higher, by a paired bootstrap over frames as in trainer.gate.promote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.errors import ComparisonError
from trainer.evaluation.simulated_annotator import four_points, iou
from trainer.interactor import Interactor

LEAST_AREA = 40  # pixels; smaller masks have no meaningful shape
_RESAMPLES = 2000


@dataclass(frozen=True)
class FourPointScores:
    """IoU at four points of the objects of a split. ious: (N,); frames: (N,) frame indices."""

    ious: NDArray[np.float64]
    frames: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Return the mean over the objects; NaN if there are none."""
        return float(self.ious.mean()) if len(self.ious) else float("nan")


@dataclass(frozen=True)
class InteractorDecision:
    """The decision, with reasons as sentences. gain: of the mean IoU; gain_low: lower bound."""

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
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> FourPointScores:
    """Return the IoU at four points on the objects with masks of a split.

    most: maximum number of objects, a fixed random sample. Objects with several parts
    (n_components) are skipped: four points do not describe them. on_done(done, total) is called
    after each.
    """
    images = dataset.split(split)
    rows = [
        (place, found)
        for place, image in enumerate(images)
        for found in image.objects
        if not found.crowd
        and found.segmentation is not None
        and int(found.extra.get("n_components", 1)) == 1
    ]
    ious: list[float] = []
    frames: list[int] = []
    drawn = sorted(np.random.default_rng(5).permutation(len(rows))[:most])
    for done, row in enumerate(drawn, start=1):
        place, found = rows[row]
        image = images[place]
        mask = found.bitmap(image.height, image.width)
        if int(mask.sum()) >= LEAST_AREA:
            ious.append(_one(interactor, dataset.file(image).read_bytes(), mask))
            frames.append(place)
        on_done(done, len(drawn))
    return FourPointScores(np.array(ious), np.array(frames, np.int64))


def decide_interactor(
    champion: FourPointScores,
    challenger: FourPointScores,
    *,
    rng: np.random.Generator,
    confidence: float = 0.9,
    min_objects: int = 10,
) -> InteractorDecision:
    """Compare two measurements of the same objects.

    confidence: that the gain is above 0. min_objects: fewer cannot distinguish models. Raises
    ComparisonError when the objects differ.
    """
    if not np.array_equal(champion.frames, challenger.frames):
        raise ComparisonError([f"{len(champion.ious)} and {len(challenger.ious)} objects"])
    count = len(champion.ious)
    if count < min_objects:
        reason = f"{count} masks in the holdout, {min_objects} are needed to decide"
        return InteractorDecision(False, (reason,), float("nan"), float("nan"))
    gains = challenger.ious - champion.ious
    low = _lower_bound(gains, champion.frames, rng, confidence)
    gain = float(gains.mean())
    on_done = (
        f"IoU at four points {challenger.mean:.3f} against {champion.mean:.3f} on {count} objects",
        f"gain {gain:+.3f}, at least {low:+.3f} with confidence {confidence:g}",
    )
    return InteractorDecision(low > 0, on_done, gain, low)


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
    return iou(max(candidates, key=lambda found: found.confidence).mask.on(size), mask)
