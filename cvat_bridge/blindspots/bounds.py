"""How sure a share is, when objects of one frame tend to fail together. Pure.

Clopper-Pearson bounds on an effective number of objects: Korn and Graubard, "Confidence intervals
for proportions with small expected number of positive counts estimated from survey data" (Survey
Methodology 24, 1998). The number of objects is divided by the design effect of the frames (groups
of near-duplicates count as one frame), and by Student's t for few frames. For many slices at once
every bound is taken at Bonferroni's level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEWEST = 2  # clusters from which a spread can be told


@dataclass(frozen=True)
class ShareCounts:
    """right of `of` objects in so many clusters; effective: objects that are worth as much."""

    right: int
    of: int
    clusters: int
    effective: float

    @property
    def value(self) -> float | None:
        """The share, None of nothing."""
        return self.right / self.of if self.of else None


def count_share(each: NDArray[np.float64], hits: NDArray[np.float64]) -> ShareCounts:
    """Count objects and what they are worth. each, hits: (C,) objects and right ones by cluster."""
    there = each > 0
    each, hits = each[there], hits[there]
    total, found, clusters = int(each.sum()), int(hits.sum()), len(each)
    if not total:
        return ShareCounts(0, 0, 0, 0.0)
    share = found / total
    binomial = share * (1 - share) / total
    if clusters < _FEWEST or binomial <= 0:
        return ShareCounts(found, total, clusters, float(total if clusters >= _FEWEST else 1))
    # Of a ratio, linearised.
    spread = ((hits - share * each) ** 2).sum() * clusters / (clusters - 1) / total**2
    return ShareCounts(found, total, clusters, total / max(1.0, spread / binomial))


def pooled_counts(one: ShareCounts, rest: ShareCounts) -> ShareCounts:
    """Let a slice whose own spread cannot be told (all right or all wrong) take the rest's.

    The likeness of objects in a frame is the rest's; in the slice it weighs by its own objects a
    frame.
    """
    if not one.of or 0 < one.right < one.of or not rest.effective or one.clusters < _FEWEST:
        return one
    rest_each, own_each = rest.of / max(rest.clusters, 1), one.of / one.clusters
    alike = (rest.of / rest.effective - 1) / max(rest_each - 1, 1e-9) if rest_each > 1 else 0.0
    effect = 1 + min(max(alike, 0.0), 1.0) * (own_each - 1)
    return ShareCounts(one.right, one.of, one.clusters, one.of / effect)


def bounds(one: ShareCounts, level: float) -> tuple[float, float]:
    """Return the bounds that the true share passes with chance `level` each; 0..1 of nothing."""
    from scipy.special import betaincinv, stdtrit

    if not one.of or one.clusters < _FEWEST:
        return 0.0, 1.0
    plain, few = stdtrit(one.of - 1, level), stdtrit(one.clusters - 1, level)
    size = max(one.effective * (plain / few) ** 2, 1e-3)
    right = size * one.right / one.of
    low = float(betaincinv(right, size - right + 1, level)) if one.right else 0.0
    high = float(betaincinv(right + 1, size - right, 1 - level)) if one.right < one.of else 1.0
    return low, high
