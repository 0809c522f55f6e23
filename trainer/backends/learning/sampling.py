"""Sampling of batches as a function of seed and step, so that a resumed fit is identical."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def batch_rows(
    count: int, *, seed: int, step: int, batch_size: int
) -> list[tuple[int, np.random.Generator]]:
    """Return the row (0..count-1) and the augmentation's random generator of each sample of a step.

    Every row occurs once per epoch, in a new random order.
    """
    orders: dict[int, NDArray[np.int64]] = {}
    found = []
    for place in range(step * batch_size, (step + 1) * batch_size):
        epoch, row = divmod(place, count)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([seed, epoch]).permutation(count)
        found.append((int(orders[epoch][row]), np.random.default_rng([seed, epoch, row, 1])))
    return found
