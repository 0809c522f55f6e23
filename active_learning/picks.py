"""A strategy's context beside the pool, and its selection."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from active_learning.pool import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class SelectionContext:
    """What a strategy may use beside the pool; everything is optional.

    class_need: (C,) factor of each class. known: (L, D) embeddings of labelled frames. seconds:
    (N,) expected annotation seconds per frame; values become gain per second. quotas: (class name,
    (N,) bool of the frames that seem to show it, number of frames). class_names: C names for the
    reasons, or none.
    """

    class_need: FloatArray | None = None
    known: FloatArray | None = None
    seconds: FloatArray | None = None
    quotas: tuple[tuple[str, NDArray[np.bool_], int], ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picks:
    """The frames that a strategy selected.

    rows: in the order selected. values: (N,) of every frame of the pool. whys: reasons for a row
    besides its value. gaps: (K,) distance of each frame to the labelled and previously selected
    ones, in typical distances, or None if no embeddings were used. duplicates: how many of the last
    rows are near-duplicates, selected because nothing else was left. ranked: whether the rows
    before those are already in order of value.
    """

    rows: IntArray
    values: FloatArray
    whys: dict[int, str] = field(default_factory=dict)
    gaps: FloatArray | None = None
    duplicates: int = 0
    ranked: bool = False
