"""How many objects per frame an engine returns: all relevant ones, unless the card sets a limit.

Detections with very low scores are countless, and an evaluation requests them; of those below FLOOR
only the best are kept. Detections that people could see are never dropped silently.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOOR = 0.05  # score from which an object is never dropped to limit their number
TAIL = 300  # objects per frame, beyond which those below FLOOR are dropped
_log = logging.getLogger(__name__)


def at_most(scores: NDArray[np.floating[Any]], most: Any) -> slice:
    """Return which objects, sorted by score, to keep: all, or as many as the card allows.

    most: card.extra["most"], None for no limit. Dropping an object of at least FLOOR is logged.
    """
    if most is None:
        above = int(np.count_nonzero(scores >= FLOOR))
        return slice(max(TAIL, above))
    limit = int(most)
    left_out = int(np.count_nonzero(scores[limit:] >= FLOOR))
    if left_out:
        _log.warning(
            "%d objects of a frame are dropped: the model's card sets a limit of %d (extra.most)",
            left_out,
            limit,
        )
    return slice(limit)
