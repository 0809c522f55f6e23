"""Inputs and outputs of a strategy: frames by id, their candidate objects, the selection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import InvalidPoolError

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
StrArray = NDArray[np.str_]


@dataclass(frozen=True)
class Objects:
    """Candidate objects of all frames, ragged: frame i owns rows offsets[i]:offsets[i + 1].

    offsets: (N + 1,) int64, first 0, last M, non-decreasing.
    probabilities: (M, C) class probabilities. A sigmoid head gives independent columns in 0..1, a
        softmax head rows that sum to 1, or less without a background column; `head` states which,
        it is not guessed from the range.
    boxes: (M, 4) x1 y1 x2 y2 in pixels, or None.
    disagreement: (M,) in 0..1, disagreement of passes or models about the object, or None.
    head: "sigmoid" or "softmax".
    """

    offsets: IntArray
    probabilities: FloatArray
    boxes: FloatArray | None = None
    disagreement: FloatArray | None = None
    head: str = "sigmoid"

    def __post_init__(self) -> None:
        offsets, rows = self.offsets, len(self.probabilities)
        if offsets.ndim != 1 or len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != rows:
            raise InvalidPoolError(
                f"objects.offsets must run from 0 to the number of objects ({rows}), "
                f"found shape {offsets.shape} ending in {offsets[-1:] if offsets.ndim else offsets}"
            )
        if np.any(np.diff(offsets) < 0):
            row = int(np.argmax(np.diff(offsets) < 0))
            raise InvalidPoolError(
                f"objects.offsets decreases after row {row}; it must not decrease"
            )
        if self.probabilities.ndim != 2:
            raise InvalidPoolError(
                f"objects.probabilities must be (M, C), found shape {self.probabilities.shape}"
            )
        if self.head not in ("sigmoid", "softmax"):
            raise InvalidPoolError(f"objects.head must be sigmoid or softmax, found {self.head!r}")
        _check_unit("objects.probabilities", self.probabilities)
        if self.head == "softmax" and rows:
            row = int(np.argmax(self.probabilities.sum(axis=1)))
            total = float(self.probabilities[row].sum())
            if total > 1 + 1e-3:
                raise InvalidPoolError(
                    f"objects.probabilities row {row} sums to {total:.4g}; a softmax head sums to "
                    "1 at most (set head='sigmoid' when the columns are independent)"
                )
        for name, value, shape in (
            ("boxes", self.boxes, (rows, 4)),
            ("disagreement", self.disagreement, (rows,)),
        ):
            if value is not None and value.shape != shape:
                raise InvalidPoolError(f"objects.{name} must be {shape}, found {value.shape}")
            if value is not None and not np.all(np.isfinite(value)):
                raise InvalidPoolError(f"objects.{name} contains a value that is not finite")


@dataclass(frozen=True)
class Pool:
    """The unlabelled frames that a round may select from. Rows are frames, identified by id.

    ids: (N,) unique strings. embeddings: (N, D) finite, or None. groups: (N,) video, scene or
    near-duplicate cluster of each frame, or None. objects: candidate objects, or None without
    predictions of a trusted model (cold start). scores: (N,) how informative each frame is, if
    computed by the caller (for example `measures.map_entropy` of a semantic mask), or None. Higher
    is more informative.

    Embeddings may be a np.memmap larger than memory: they are read in blocks of rows only.
    """

    ids: StrArray
    embeddings: FloatArray | None = None
    groups: StrArray | None = None
    objects: Objects | None = None
    scores: FloatArray | None = None

    def __post_init__(self) -> None:
        count = len(self.ids)
        unique, first = np.unique(self.ids, return_index=True)
        if len(unique) != count:
            row = int(np.setdiff1d(np.arange(count), first)[0])
            raise InvalidPoolError(f"pool.ids[{row}] = {self.ids[row]!r} occurs twice")
        if self.embeddings is not None:
            if self.embeddings.ndim != 2 or len(self.embeddings) != count:
                raise InvalidPoolError(
                    f"pool.embeddings must be ({count}, D), found {self.embeddings.shape}"
                )
            bad = _first_not_finite(self.embeddings)
            if bad is not None:
                raise InvalidPoolError(
                    f"pool.embeddings of frame {self.ids[bad]!r} (row {bad}) is not finite"
                )
        if self.groups is not None and self.groups.shape != (count,):
            raise InvalidPoolError(f"pool.groups must be ({count},), found {self.groups.shape}")
        if self.scores is not None:
            if self.scores.shape != (count,):
                raise InvalidPoolError(f"pool.scores must be ({count},), found {self.scores.shape}")
            bad = _first_not_finite(self.scores)
            if bad is not None:
                raise InvalidPoolError(
                    f"pool.scores of frame {self.ids[bad]!r} (row {bad}) is not finite"
                )
        if self.objects is not None and len(self.objects.offsets) != count + 1:
            raise InvalidPoolError(
                f"pool.objects.offsets must have {count + 1} entries for {count} frames, "
                f"found {len(self.objects.offsets)}"
            )

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ProjectState:
    """The state of the project beside the pool; it determines the phase and the class need.

    labelled: frames labelled so far. trusted: whether predictions may be used: of a model that
    serves (it passed the gate), or a weak one. labelled_embeddings: (L, D) embeddings of labelled
    frames, so that diversity counts them. class_names: C names, in the column order of
    Objects.probabilities. class_counts: (C,) labelled objects per class, or None. class_ap: (C,)
    champion's AP per class in 0..1, NaN if unknown, or None. curve: (labelled frames, AP) of past
    rounds, oldest first, for the advice to stop. weak: whether that model is good enough to select
    frames, but not to serve.
    """

    labelled: int = 0
    trusted: bool = False
    labelled_embeddings: FloatArray | None = None
    class_names: tuple[str, ...] = ()
    class_counts: FloatArray | None = None
    class_ap: FloatArray | None = None
    curve: tuple[tuple[int, float], ...] = ()
    weak: bool = False


@dataclass(frozen=True)
class Selection:
    """The selected frames, in rank order: the most valuable first.

    ids: (K,) unique ids of the pool.
    scores: (K,) the strategy's value of each frame when it was selected.
    reasons: one short sentence per frame.
    arms: (K,) "strategy" or "control".
    weights: (K,) inverse inclusion probability for control frames (for unbiased estimates over
        the pool), NaN for frames of the strategy arm.
    strategy, phase: names for the record; advice: from the learning curve, or "".
    """

    ids: StrArray
    scores: FloatArray
    reasons: tuple[str, ...]
    arms: StrArray
    weights: FloatArray
    strategy: str
    phase: str = ""
    advice: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.ids)
        for name in ("scores", "reasons", "arms", "weights"):
            if len(getattr(self, name)) != count:
                raise InvalidPoolError(
                    f"selection.{name} must have {count} entries, found {len(getattr(self, name))}"
                )


class Strategy(Protocol):
    """Measure x aggregation x selector, as a single call."""

    def __call__(self, pool: Pool, *, budget: int, rng: np.random.Generator) -> Selection:
        """Select min(budget, len(pool)) distinct frames, best first.

        The same seed gives the same result; the order and names of the frames matter only in ties.
        Raises EmptyPoolError on an empty pool and InvalidPoolError on a budget below one or when
        the pool lacks what the strategy needs.
        """
        ...


def _first_not_finite(values: FloatArray) -> int | None:
    """Return the row of the first NaN or infinity; reads blocks, so that a memmap stays on disk."""
    step = max(1, (1 << 22) // max(1, values[:1].size))
    for start in range(0, len(values), step):
        good = np.isfinite(values[start : start + step])
        if not good.all():
            return start + int(np.argmin(good.reshape(len(good), -1).all(axis=1)))
    return None


def _check_unit(name: str, values: FloatArray) -> None:
    row = _first_not_finite(values)
    if row is not None:
        raise InvalidPoolError(f"{name} row {row} is not finite")
    if values.size and (values.min() < 0 or values.max() > 1 + 1e-6):
        raise InvalidPoolError(
            f"{name} must lie in 0..1, found {float(values.min())}..{float(values.max())}"
        )
