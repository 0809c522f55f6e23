"""A query strategy: measure x aggregation x selector, with the project's context."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from active_learning.errors import EmptyPoolError, InvalidPoolError
from active_learning.measures.aggregate import frame_values
from active_learning.measures.class_need import object_weights
from active_learning.measures.confident import confident_objects
from active_learning.measures.uncertainty import MEASURES
from active_learning.picks import Picks, SelectionContext
from active_learning.pool import FloatArray, IntArray, Pool, Selection
from active_learning.reasons import reasons
from active_learning.selectors.cold_start import probcover, typiclust
from active_learning.selectors.distances import EmbeddingSpace, Float32Array, squared_distances
from active_learning.selectors.k_center import k_center
from active_learning.selectors.k_means_pp import k_means_pp
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.ordering import content_rank, top_rows
from active_learning.selectors.rankings import (
    Selector,
    SelectorInput,
    random,
    take_in_order,
    top_k,
    weighted_random,
)
from active_learning.selectors.stratified import stratified, stratified_random

SELECTORS: dict[str, Selector] = {
    "top_k": top_k,
    "random": random,
    "weighted_random": weighted_random,
    "k_center": k_center,
    "k_means_pp": k_means_pp,
    "typiclust": typiclust,
    "probcover": probcover,
    "stratified": stratified,
    "stratified_random": stratified_random,
}
_LEAST_CANDIDATES = 20
DIVERSE = frozenset(
    {"k_center", "k_means_pp", "typiclust", "probcover", "stratified", "stratified_random"}
)


@dataclass(frozen=True, eq=False)
class QueryStrategy:
    """A strategy, as a callable value that dataclasses.replace can modify.

    measure: a name of MEASURES; "scores" uses Pool.scores; None treats all frames equally.
    aggregation, k, empty_frame_quantile: see `aggregate.frame_values`. candidates: a diverse
    selector considers only the best candidates * budget frames (at least 20), or all of them when
    None. min_confidence: candidate objects below this probability are ignored, see
    `confident_objects`. cap_per_group, near_duplicate: see `limits.Limits`.
    """

    name: str
    selector: str
    measure: str | None = None
    aggregation: str = "topk_mean"
    k: int = 3
    empty_frame_quantile: float = 0.0
    candidates: float | None = None
    min_confidence: float = 0.0
    cap_per_group: int | None = None
    near_duplicate: float | None = None
    context: SelectionContext = field(default_factory=SelectionContext)

    def __call__(self, pool: Pool, *, budget: int, rng: np.random.Generator) -> Selection:
        """Select frames; see `pool.Strategy`."""
        check_budget(pool, budget)
        picks = self.pick(pool, budget=budget, rng=rng)
        return Selection(
            ids=pool.ids[picks.rows],
            scores=picks.values[picks.rows],
            reasons=self.reasons(pool, picks),
            arms=np.full(len(picks.rows), "strategy"),
            weights=np.full(len(picks.rows), np.nan),
            strategy=self.name,
        )

    def values(self, pool: Pool) -> FloatArray:
        """Return (N,) the value of each frame by itself: measure * class need, per second."""
        worth = self._worth(pool)
        seconds = self.context.seconds
        if seconds is None:
            return worth
        if seconds.shape != worth.shape or not np.isfinite(seconds).all() or (seconds <= 0).any():
            raise InvalidPoolError(
                f"seconds must be ({len(worth)},), finite and above 0, found {seconds.shape}"
            )
        return worth / seconds

    def reasons(self, pool: Pool, picks: Picks) -> tuple[str, ...]:
        """Return one short sentence for each selected frame."""
        return reasons(pool, picks, context=self.context, informed=self.measure is not None)

    def pick(
        self,
        pool: Pool,
        *,
        budget: int,
        rng: np.random.Generator,
        barred: IntArray | None = None,
        rank: IntArray | None = None,
    ) -> Picks:
        """Select rows of the pool, best first.

        barred: rows already in the batch; they count as labelled. rank: the pool's content_rank, if
        already computed.
        """
        values = self.values(pool)
        rank = content_rank(pool) if rank is None else rank
        space = self._space(pool)
        limits, placed = limits_of(
            pool,
            space,
            self.context,
            barred=barred,
            cap=self.cap_per_group,
            radius=self.near_duplicate,
        )
        choice = SelectorInput(values=values, rank=rank, rng=rng, space=space, known=placed)
        taken = self._quotas(choice, limits, budget)
        taken += self._select(choice, limits, budget - len(taken), taken)
        # A selector that uses a part of the pool (cold start) may leave non-duplicates.
        taken += take_in_order(values, rank, limits, budget=budget - len(taken)).tolist()
        distinct = len(taken)
        limits.lift_duplicates()
        taken += take_in_order(values, rank, limits, budget=budget - distinct).tolist()
        rows = np.asarray(taken, np.int64)
        gaps = None if space is None else _gaps(space.rows(rows), placed)
        return Picks(rows, values, limits.whys, gaps, len(rows) - distinct)

    def _worth(self, pool: Pool) -> FloatArray:
        if self.measure is None:
            return np.ones(len(pool))
        if self.measure == "scores":
            if pool.scores is None:
                raise InvalidPoolError(f"{self.name} needs pool.scores, but the pool has none")
            return np.asarray(pool.scores, float)
        if self.measure not in MEASURES:
            raise InvalidPoolError(
                f"no measure {self.measure!r}; known are scores, {', '.join(sorted(MEASURES))}"
            )
        if pool.objects is None:
            raise InvalidPoolError(
                f"{self.name} needs candidate objects, but the pool has none: predict the pool "
                "first, or choose a cold-start strategy such as typiclust"
            )
        objects, need = (
            confident_objects(pool.objects, least=self.min_confidence),
            self.context.class_need,
        )
        return frame_values(
            MEASURES[self.measure](objects),
            objects.offsets,
            aggregation=self.aggregation,
            k=self.k,
            empty_frame_quantile=self.empty_frame_quantile,
            weights=None if need is None else object_weights(objects, need),
        )

    def _space(self, pool: Pool) -> EmbeddingSpace | None:
        compares = self.selector in DIVERSE or self.near_duplicate is not None
        if pool.embeddings is None or not pool.embeddings.shape[1] or not compares:
            return None
        return EmbeddingSpace.of(pool.embeddings)

    def _quotas(self, choice: SelectorInput, limits: SelectionLimits, budget: int) -> list[int]:
        taken: list[int] = []
        for name, rows, count in self.context.quotas:
            most = min(count, budget - len(taken))
            seen = np.flatnonzero(rows)
            fresh = take_in_order(
                choice.values, choice.rank, limits, budget=most, rows=seen
            ).tolist()
            limits.whys.update(dict.fromkeys(fresh, f"seems to show {name}, which has a quota"))
            taken += fresh
        return taken

    def _select(
        self, choice: SelectorInput, limits: SelectionLimits, budget: int, taken: list[int]
    ) -> list[int]:
        if budget < 1:
            return []
        select = SELECTORS[self.selector]
        if taken:
            known = _joined(choice.known, choice.space, np.array(taken))
            choice = replace(choice, known=known)
        if self.candidates is None or choice.space is None:
            return [int(row) for row in select(choice, limits, budget=budget)]
        # Near-duplicates among the candidates may leave the batch short; then twice as many are
        # considered, up to the whole pool.
        fresh: list[int] = []
        seen = ~limits.open
        count = max(_LEAST_CANDIDATES, round(self.candidates * budget))
        while len(fresh) < budget and not seen.all():
            rows = np.flatnonzero(~seen)
            rows = rows[top_rows(choice.values[rows], count, choice.rank[rows])]
            seen[rows] = True
            fresh += self._select_among(rows, choice, limits, budget - len(fresh))
            count *= 2
        return fresh

    def _select_among(
        self, rows: IntArray, choice: SelectorInput, limits: SelectionLimits, budget: int
    ) -> list[int]:
        """Run the selector on these rows only, and map its result back to the pool's rows."""
        if choice.space is None:
            return []
        narrowed = SelectorInput(
            values=choice.values[rows],
            rank=np.argsort(np.argsort(choice.rank[rows])),
            rng=choice.rng,
            space=choice.space.subset(rows),
            known=choice.known,
        )
        part = limits.narrowed(rows, narrowed.space)
        picked = SELECTORS[self.selector](narrowed, part, budget=budget)
        chosen = [int(row) for row in rows[picked]]
        for row in chosen:
            limits.take(row)
        return chosen


def limits_of(
    pool: Pool,
    space: EmbeddingSpace | None,
    context: SelectionContext,
    *,
    barred: IntArray | None,
    cap: int | None,
    radius: float | None,
) -> tuple[SelectionLimits, Float32Array | None]:
    """Return the initial limits of a selection, and the labelled frames in the embedding space.

    barred: rows already in the batch; they count as labelled. cap, radius: see SelectionLimits.
    """
    known = context.known
    placed = space.place(known) if space is not None and known is not None else None
    open_rows = np.ones(len(pool), bool)
    if barred is not None and len(barred):
        open_rows[barred] = False
        placed = _joined(placed, space, barred)
    limits = SelectionLimits(
        open_rows, groups=pool.groups, cap=cap, space=space, radius=radius, known=placed
    )
    return limits, placed


def _joined(
    known: Float32Array | None, space: EmbeddingSpace | None, rows: IntArray
) -> Float32Array | None:
    """Return the known embeddings with these rows of the pool appended."""
    if space is None:
        return known
    own = space.rows(rows)
    return own if known is None else np.concatenate([known, own])


def _gaps(taken: Float32Array, known: Float32Array | None) -> FloatArray:
    """Return (K,) distance of each to the known and previous ones; inf for a first one alone."""
    gaps = np.full(len(taken), np.inf)
    if known is not None:
        for start in range(0, len(known), 4096):
            part = squared_distances(taken, known[start : start + 4096])
            gaps = np.minimum(gaps, part.min(axis=1, initial=np.inf))
    for start in range(0, len(taken), 1024):
        part = squared_distances(taken[start : start + 1024], taken)
        before = np.arange(len(taken)) < np.arange(start, start + len(part))[:, None]
        nearest = np.where(before, part, np.inf).min(axis=1, initial=np.inf)
        gaps[start : start + 1024] = np.minimum(gaps[start : start + 1024], nearest)
    result: FloatArray = np.sqrt(gaps)
    return result


def check_budget(pool: Pool, budget: int) -> None:
    """Raise EmptyPoolError or InvalidPoolError when nothing can be selected."""
    if not len(pool):
        raise EmptyPoolError("the pool is empty: every frame is labelled, held out or in work")
    if isinstance(budget, bool) or not isinstance(budget, int | np.integer) or budget < 1:
        raise InvalidPoolError(f"budget must be a whole number of 1 or more, found {budget!r}")
