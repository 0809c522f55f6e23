"""How much a frame of the pool is like the judged frames in which the model failed. Pure.

Five features of a frame, weighed by a logistic regression that is learnt on the judged frames and
drawn to equal weights, so that with few failures it is their plain sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.evaluations.table import unpacked

Floats = NDArray[np.float32]
REFERENCES = 64  # frames, and twice as many boxes, that others are compared with
_NEIGHBOURS = 5
_PRIOR = 4.0  # judged frames that the plain sum is worth
FEATURES = ("conditions", "fitting", "doubtful", "frame picture", "box pictures")


@dataclass(frozen=True, eq=False)
class References:
    """Embeddings of length 1 of what failed and of what did not, and the frame that each is of."""

    failed: Floats
    failed_frame: NDArray[np.int64]
    good: Floats
    good_frame: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        vectors: NDArray[np.int8],
        frame: NDArray[np.int64],
        failed: NDArray[np.bool_],
        most: int,
    ) -> References:
        """Keep at most `most` of each, evenly; rows of zeros, of which nothing is known, none.

        vectors: as table.packed writes them.
        """
        known = np.any(vectors, axis=1)

        def some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            return rows[:: max(1, -(-len(rows) // most))]

        bad, good = some(np.flatnonzero(failed & known)), some(np.flatnonzero(~failed & known))
        return cls(unpacked(vectors[bad]), frame[bad], unpacked(vectors[good]), frame[good])

    def lean(self, vectors: Floats, frame: NDArray[np.int64] | None = None) -> Floats:
        """Return how much nearer rows are to what failed than to what did not, (N,); 0 if unknown.

        frame: of each row; references of the row's own frame are left out.
        """
        found = np.zeros(len(vectors), np.float32)
        if not len(self.failed) or not len(self.good):
            return found
        for start in range(0, len(vectors), 4096):
            part = slice(start, start + 4096)
            own = None if frame is None else frame[part]
            found[part] = _near(vectors[part], self.failed, self.failed_frame, own) - _near(
                vectors[part], self.good, self.good_frame, own
            )
        found[~np.any(vectors, axis=1)] = 0
        return found


def best_of(values: Floats, frame: NDArray[np.int64], frames: int) -> Floats:
    """Return the mean of each frame's three greatest values, 0 for a frame without any."""
    order = np.lexsort((-values, frame))
    place = np.arange(len(order)) - np.searchsorted(frame[order], frame[order], side="left")
    top = order[place < 3]
    total = np.bincount(frame[top], weights=values[top], minlength=frames)
    return (total / np.maximum(np.bincount(frame[top], minlength=frames), 1)).astype(np.float32)


def weigh(evaluated: Floats, failed: NDArray[np.bool_], pool: Floats) -> NDArray[np.float64]:
    """Return the chance of each pool frame, in 0..1, that it holds such a failure.

    judged, pool: (N, features). Features are scaled by the judged frames. With frames of one kind
    alone nothing can be learnt, and the plain sum orders the pool.
    """
    middle, spread = evaluated.mean(axis=0), evaluated.std(axis=0)
    spread = np.where(spread > 1e-6, spread, np.maximum(pool.std(axis=0), 1e-6))
    known = np.clip((evaluated - middle) / spread, -4, 4).astype(float)
    asked = np.clip((pool - middle) / spread, -4, 4).astype(float)
    weights = np.ones(known.shape[1])
    offset = 0.0
    if failed.any() and not failed.all():
        weights, offset = _fitted(known, failed.astype(float), weights)
    reached = np.clip(asked @ weights + offset, -30, 30)
    return np.asarray(1 / (1 + np.exp(-reached)), np.float64)


def _fitted(
    features: NDArray[np.float64], target: NDArray[np.float64], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Logistic regression with a Gaussian prior around `prior`, by Newton's steps."""
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    centre = np.append(prior / len(prior) ** 0.5, 0.0)
    strength = np.append(np.full(len(prior), _PRIOR), 1e-3)
    weights = centre.copy()
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (target - chance) - strength * (weights - centre)
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(strength)
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-6:
            break
    # A feature that happens to point the other way on few frames is not followed.
    return np.maximum(weights[:-1], 0.0), float(weights[-1])


def _near(
    vectors: Floats, others: Floats, other_frame: NDArray[np.int64], own: NDArray[np.int64] | None
) -> Floats:
    likeness = vectors @ others.T
    if own is not None:
        likeness[own[:, None] == other_frame[None]] = -1.0
    count = min(_NEIGHBOURS, likeness.shape[1])
    top = -np.partition(-likeness, count - 1, axis=1)[:, :count]
    return np.asarray(top.mean(axis=1), np.float32)
