"""Filter the candidates above a confidence threshold, which count as objects of a frame."""

from __future__ import annotations

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.measures.uncertainty import winning_score
from active_learning.pool import Objects

MIN_CONFIDENCE = 0.3  # a candidate counts as an object from this probability


def confident_objects(objects: Objects, *, least: float = MIN_CONFIDENCE) -> Objects:
    """Return the candidates whose best class reaches `least`; 0 keeps all.

    An early model has dozens of low-confidence candidates in every frame. When values are summed
    over a frame (as in PPAL, Yang et al., CVPR 2024) they outweigh its real objects: in replays on
    blood cells the number of confident platelets followed the true number twice as closely as the
    entropy summed over all candidates. Raises InvalidPoolError when `least` is outside 0..1.
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
