"""What a strategy may know beside the pool, and what it took."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from active_learning.pool import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class SelectionContext:
    """What a strategy may know beside the pool. Everything is optional.

    class_need: (C,) factor of each class. known: (L, D) embeddings of labelled frames.
    seconds: (N,) expected seconds of a person a frame; values become gain per second.
    quotas: (name of the class, (N,) bool of the frames that seem to show it, frames wanted).
    class_names: C names for the reasons, or none.
    """

    class_need: FloatArray | None = None
    known: FloatArray | None = None
    seconds: FloatArray | None = None
    quotas: tuple[tuple[str, NDArray[np.bool_], int], ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picks:
    """What a strategy took.

    rows: in the order taken. values: (N,) of every frame of the pool. whys: what spoke for a row
    beside its value. gaps: (K,) distance of each taken frame to what was labelled or taken before
    it, in typical distances, or None where no embedding was read. duplicates: how many of the
    last rows are near-duplicates, taken for want of others. ranked: whether the rows before those
    stand in order of worth already; else the values say it.
    """

    rows: IntArray
    values: FloatArray
    whys: dict[int, str] = field(default_factory=dict)
    gaps: FloatArray | None = None
    duplicates: int = 0
    ranked: bool = False
