"""How much more a frame teaches because it shows more objects."""

from __future__ import annotations

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.measures import winning_score
from active_learning.pool import FloatArray, Objects

SEEN = 0.3  # a candidate from this probability counts as an object


def crowd_factor(objects: Objects, *, strength: float) -> FloatArray:
    """Return (N,) (1 + objects seen) ** strength: 1 for a frame with none.

    strength 0 ignores how many objects there are, 1 counts each in full; 0.5 lets the tenth
    object add less than the second, since objects of one frame resemble each other. Only
    candidates that the model believes in count: a young model has dozens of faint ones in every
    frame, and summing those (PPAL, CVPR 2024, sums all) counted noise in replays, not objects.
    Raises InvalidPoolError when strength is not finite or below 0.
    """
    if not 0 <= strength < np.inf:
        raise InvalidPoolError(f"crowding must be 0 or more, found {strength}")
    sums = np.concatenate([[0], np.cumsum(winning_score(objects) >= SEEN)])
    offsets = np.asarray(objects.offsets)
    seen = sums[offsets[1:]] - sums[offsets[:-1]]
    factor: FloatArray = (1.0 + seen) ** strength
    return factor
