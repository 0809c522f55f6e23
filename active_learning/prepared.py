"""A strategy with the round's context: class need, cost, quotas, caps, near-duplicates."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import InvalidPoolError
from active_learning.measures.class_need import class_need, presence
from active_learning.measures.cost import expected_seconds
from active_learning.picks import Picks, SelectionContext
from active_learning.pool import IntArray, Pool, ProjectState, Selection, Strategy
from active_learning.query_strategy import QueryStrategy, limits_of
from active_learning.selectors.distances import EmbeddingSpace
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.rankings import take_in_order
from active_learning.settings import SelectionSettings


class PreparedStrategy(Protocol):
    """A strategy that is ready to select beside the control arm."""

    def pick(
        self,
        pool: Pool,
        *,
        budget: int,
        rng: np.random.Generator,
        barred: IntArray | None = None,
        rank: IntArray | None = None,
    ) -> Picks:
        """Select rows of the pool, none of the barred ones; see QueryStrategy.pick."""
        ...

    def reasons(self, pool: Pool, picks: Picks) -> tuple[str, ...]:
        """Return one short sentence for each selected row."""
        ...


def prepare(
    chosen: Strategy, pool: Pool, state: ProjectState, settings: SelectionSettings
) -> PreparedStrategy:
    """Return the strategy with the project's context and limits.

    Raises InvalidPoolError when class_quotas names a class that the project does not have.
    """
    # A built-in strategy without a measure does not use objects; a third-party one may.
    uses_objects = not isinstance(chosen, QueryStrategy) or chosen.measure is not None
    weighed = uses_objects and pool.objects is not None
    context = SelectionContext(
        class_need=class_need(state, strength=settings.class_need) if weighed else None,
        known=state.labelled_embeddings if pool.embeddings is not None else None,
        seconds=(
            expected_seconds(pool.objects, settings.cost)
            if settings.gain_per_second and pool.objects is not None
            else None
        ),
        quotas=_quotas(pool, state, settings),
        class_names=state.class_names,
    )
    if not isinstance(chosen, QueryStrategy):
        return ThirdPartyStrategy(
            chosen,
            context=context,
            cap_per_group=settings.cap_per_group,
            near_duplicate=settings.near_duplicate,
        )
    return replace(
        chosen,
        context=context,
        cap_per_group=settings.cap_per_group,
        near_duplicate=settings.near_duplicate if chosen.selector != "random" else None,
        candidates=settings.candidates if chosen.candidates is not None else None,
        min_confidence=settings.min_confidence if chosen.min_confidence else 0.0,
        k=settings.k,
        empty_frame_quantile=settings.empty_frame_quantile,
    )


def _quotas(
    pool: Pool, state: ProjectState, settings: SelectionSettings
) -> tuple[tuple[str, NDArray[np.bool_], int], ...]:
    if not settings.class_quotas or pool.objects is None:
        return ()
    unknown = [name for name in settings.class_quotas if name not in state.class_names]
    if unknown:
        raise InvalidPoolError(
            f"class_quotas names {', '.join(unknown)}, which is not a class of the project; known "
            f"are {', '.join(state.class_names) or 'none'}"
        )
    return tuple(
        (name, presence(pool.objects, state.class_names.index(name)) >= 0.3, count)
        for name, count in settings.class_quotas.items()
    )


@dataclass(frozen=True, eq=False)
class ThirdPartyStrategy:
    """A third-party strategy's ranking, followed from the top as far as the limits permit.

    Control arm, caps, near-duplicates and quotas are applied here. Class need, seconds and labelled
    frames cannot be combined with scores of an unknown unit, so a strategy with a parameter
    `context` (a picks.SelectionContext) receives them and applies them itself. cap_per_group,
    near_duplicate: see `limits.SelectionLimits`.
    """

    call: Strategy
    context: SelectionContext = field(default_factory=SelectionContext)
    cap_per_group: int | None = None
    near_duplicate: float | None = None

    def pick(
        self,
        pool: Pool,
        *,
        budget: int,
        rng: np.random.Generator,
        barred: IntArray | None = None,
        rank: IntArray | None = None,
    ) -> Picks:
        """Select rows of the pool, in the order of the ranking; see QueryStrategy.pick.

        When the limits leave the batch short, the strategy is called for twice as many frames, up
        to the whole pool. Raises InvalidPoolError when it returns a frame twice, or one that is not
        in the pool.
        """
        del rank  # the strategy's own order breaks ties
        if budget < 1:
            return Picks(np.zeros(0, np.int64), np.full(len(pool), np.nan), ranked=True)
        embedded = pool.embeddings is not None and pool.embeddings.shape[1] > 0
        compares = self.near_duplicate is not None and embedded
        space = (
            EmbeddingSpace.of(pool.embeddings) if compares and pool.embeddings is not None else None
        )
        asked = min(len(pool), budget + (0 if barred is None else len(barred)))
        if self.context.quotas:
            asked = len(pool)  # a rare class may be at the end of the ranking
        while True:
            ranking, answer = self._ranking(pool, asked, copy.deepcopy(rng))
            limits, _ = limits_of(
                pool,
                space,
                self.context,
                barred=barred,
                cap=self.cap_per_group,
                radius=self.near_duplicate,
            )
            picks = _walk(ranking, answer, limits, self.context, budget, last=asked == len(pool))
            if len(picks.rows) == budget or asked == len(pool):
                return picks
            asked = min(len(pool), 2 * asked)

    def reasons(self, pool: Pool, picks: Picks) -> tuple[str, ...]:
        """Return the strategy's own reason for each selected frame, and further reasons."""
        del pool
        firm = len(picks.rows) - picks.duplicates
        duplicate = "a near-duplicate, taken because nothing else is left"
        return tuple(
            picks.whys[int(row)] + (f"; {duplicate}" if place >= firm else "")
            for place, row in enumerate(picks.rows)
        )

    def _ranking(
        self, pool: Pool, count: int, rng: np.random.Generator
    ) -> tuple[IntArray, Selection]:
        extra: dict[str, Any] = {}
        if "context" in inspect.signature(self.call).parameters:
            extra["context"] = self.context
        answer = self.call(pool, budget=count, rng=rng, **extra)
        place = {str(name): row for row, name in enumerate(pool.ids)}
        names = [str(name) for name in answer.ids]
        strange = next((name for name in names if name not in place), None)
        if strange is not None:
            raise InvalidPoolError(f"the strategy chose {strange!r}, which is not in the pool")
        if len(set(names)) < len(names):
            raise InvalidPoolError("the strategy chose a frame twice; frames must be unique")
        return np.array([place[name] for name in names], np.int64), answer


def _walk(
    ranking: IntArray,
    answer: Selection,
    limits: SelectionLimits,
    context: SelectionContext,
    budget: int,
    *,
    last: bool,
) -> Picks:
    """Follow the ranking: quotas first, then from the top; near-duplicates only at its end."""
    count = len(limits.open)
    keys, scores = np.full(count, -np.inf), np.full(count, np.nan)
    keys[ranking] = -np.arange(len(ranking), dtype=float)
    scores[ranking] = np.asarray(answer.scores, float)
    whys = dict(zip(ranking.tolist(), answer.reasons, strict=True))
    order = np.arange(count)

    def take(budget: int, rows: IntArray) -> list[int]:
        return [int(r) for r in take_in_order(keys, order, limits, budget=budget, rows=rows)]

    taken: list[int] = []
    for name, shown, quota in context.quotas:
        fresh = take(min(quota, budget - len(taken)), ranking[shown[ranking]])
        for row in fresh:
            whys[row] += f"; seems to show {name}, which has a quota"
        taken += fresh
    taken += take(budget - len(taken), ranking)
    taken.sort(key=lambda row: -keys[row])
    distinct = len(taken)
    if last:
        limits.lift_duplicates()
        taken += take(budget - distinct, ranking)
    rows = np.asarray(taken, np.int64)
    return Picks(rows, scores, whys, duplicates=len(rows) - distinct, ranked=True)
