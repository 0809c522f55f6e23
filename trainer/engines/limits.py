"""How many objects of a frame an engine gives: all that count, unless a card sets a limit.

Answers of almost no score are without number, and an evaluation asks for them; of those that
fall below FLOOR only the best are kept. What people could be shown is never cut silently.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOOR = 0.05  # the score from which on an object is never left out for want of room
TAIL = 300  # objects a frame, beyond which those below FLOOR are left out
_log = logging.getLogger(__name__)


def at_most(scores: NDArray[np.floating[Any]], most: Any) -> slice:
    """Return which of some objects are given, best first: all, or so many as the card says.

    most: card.extra["most"], None for no limit. A limit that leaves out an object of at least
    FLOOR is told to the log.
    """
    if most is None:
        above = int(np.count_nonzero(scores >= FLOOR))
        return slice(max(TAIL, above))
    limit = int(most)
    left_out = int(np.count_nonzero(scores[limit:] >= FLOOR))
    if left_out:
        _log.warning(
            "%d objects of a frame are left out: the model's card sets a limit of %d (extra.most)",
            left_out,
            limit,
        )
    return slice(limit)
