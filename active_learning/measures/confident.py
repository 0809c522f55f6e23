"""The candidates that a model believes in: what a frame is taken to show."""

from __future__ import annotations

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.measures.uncertainty import winning_score
from active_learning.pool import Objects

MIN_CONFIDENCE = 0.3  # a candidate from this probability counts as an object


def confident_objects(objects: Objects, *, least: float = MIN_CONFIDENCE) -> Objects:
    """Return the candidates whose best class reaches `least`; 0 keeps all.

    A young model has dozens of faint candidates in every frame. Where values are summed over a
    frame (as PPAL does, Yang et al., CVPR 2024) they drown its objects: in replays on blood cells
    the number of believed platelets followed the true number twice as closely as the entropy
    summed over all candidates. Raises InvalidPoolError when `least` is outside 0..1.
    """
    if not 0 <= least <= 1:
        raise InvalidPoolError(f"min_confidence must lie in 0..1, found {least}")
    if least == 0:
        return objects
    kept = winning_score(objects) >= least
    sums = np.concatenate([[0], np.cumsum(kept)])
    return Objects(
        offsets=sums[np.asarray(objects.offsets)],
        probabilities=objects.probabilities[kept],
        boxes=None if objects.boxes is None else objects.boxes[kept],
        disagreement=None if objects.disagreement is None else objects.disagreement[kept],
        head=objects.head,
    )
