"""What corrections do: how many harm, what each kind gains, and whether the estimate is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from tests.bench.figures import Figure
from tests.bench.interacting.objects import Bitmap, Target
from tests.bench.interacting.peers import Estimating
from trainer.evaluation.simulated_annotator import four_points, iou, next_click

HARM = 0.02  # of the IoU, lost by one click
CLICKS = 5  # after the four points


@dataclass(frozen=True)
class Course:
    """One object, click by click. ious, estimates: after the four points and each correction.

    positive: of each correction. mask: what the four points gave.
    """

    ious: tuple[float, ...]
    estimates: tuple[float, ...]
    positive: tuple[bool, ...]
    mask: Bitmap

    @property
    def gains(self) -> list[float]:
        """What each correction gained."""
        return np.diff(self.ious).tolist()


def course(answer: Estimating, target: Target, *, most: int = CLICKS) -> Course:
    """Correct an object at the middle of its largest error, so many times."""
    positive, negative = four_points(target.mask), np.zeros((0, 2))
    ious: list[float] = []
    estimates: list[float] = []
    kinds: list[bool] = []
    first: Bitmap | None = None
    while True:
        found, estimate = answer(target, positive, negative)
        if target.unlabelled is not None:
            found = found & ~target.unlabelled
        first = found if first is None else first
        ious.append(iou(found, target.mask))
        estimates.append(estimate)
        click = next_click(target.mask, found)
        if click is None or len(kinds) == most:
            return Course(tuple(ious), tuple(estimates), tuple(kinds), first)
        point, inside = click
        kinds.append(inside)
        if inside:
            positive = np.concatenate([positive, [point]])
        else:
            negative = np.concatenate([negative, [point]])


def figures(name: str, courses: Sequence[Course]) -> list[Figure]:
    """Return the share of harmful clicks, what each kind gains, and the estimate's faults."""
    gains = [(g, kind) for c in courses for g, kind in zip(c.gains, c.positive, strict=True)]
    lost = float(np.mean([g < -HARM for g, _ in gains])) if gains else 0.0
    made = [
        Figure(
            f"harmful_clicks/{name}",
            lost,
            "share",
            note=f"of {len(gains)} corrections at the middle of the largest error, on "
            f"{len(courses)} objects; more than {HARM:g} IoU lost",
        )
    ]
    for label, kind in (("positive", True), ("negative", False)):
        own = [g for g, positive in gains if positive == kind]
        if own:
            note = f"{len(own)} clicks, {sum(g < 0 for g in own)} of them lower it"
            made.append(Figure(f"gain_{label}/{name}", float(np.mean(own)), "IoU", note=note))
    first = np.array([(c.estimates[0], c.ious[0]) for c in courses])
    later = np.array([pair for c in courses for pair in zip(c.estimates[1:], c.ious[1:])])  # noqa: B905
    bias = float((first[:, 0] - first[:, 1]).mean())
    after = float((later[:, 0] - later[:, 1]).mean()) if len(later) else 0.0
    rank = float(spearmanr(first[:, 0], first[:, 1]).statistic)
    every = np.concatenate([first, later]) if len(later) else first
    rank_all = float(spearmanr(every[:, 0], every[:, 1]).statistic)
    made.append(
        Figure(
            f"estimate_bias/{name}",
            max(abs(bias), abs(after)),
            "IoU",
            note=f"the larger of {bias:+.3f} after four points and {after:+.3f} after corrections",
        )
    )
    note = f"after four points, {len(first)} objects; {rank_all:.3f} with corrections"
    made.append(Figure(f"estimate_spearman/{name}", rank, "rank correlation", note=note))
    return made
