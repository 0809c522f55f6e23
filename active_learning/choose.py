"""The one call of a round: which phase the project is in, and which frames go to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from active_learning.class_need import class_need, presence
from active_learning.control import control_rows, control_size, interleave
from active_learning.cost import CostModel, expected_seconds
from active_learning.errors import InvalidPoolError
from active_learning.ordering import content_rank
from active_learning.picks import Context
from active_learning.pool import FloatArray, IntArray, Pool, ProjectState, Selection, Strategy
from active_learning.reasons import CONTROL
from active_learning.stopping import advice
from active_learning.strategies import (
    DEFAULT_STRATEGY,
    DIVERSE,
    QueryStrategy,
    check_budget,
    strategy,
)

COLD_START, INFORMED = "cold start", "uncertainty and diversity"


@dataclass(frozen=True)
class SelectionSettings:
    """How a batch is chosen.

    strategy: a name of STRATEGIES, or "auto": cold_start until a trusted model has looked at the
        pool, then uncertainty_diversity.
    cold_start: the strategy of the first rounds. min_labelled: with fewer labelled frames than
        this, "auto" stays with the cold start even if the model is trusted.
    control_share: part of the batch drawn at random, at least one frame from a budget of 5.
    cap_per_group: most frames of one video or scene in the strategy's part, or None. It is
        never lifted, so a pool of few groups may give less than the budget.
    class_need: 0 ignores classes, 1 weighs objects by rarity and low AP, 2 doubly so.
    class_quotas: class name → frames of the batch that seem to show it, before all others.
    near_duplicate: two frames nearer than this share of the pool's typical distance are not both
        chosen while others are left; 0 bars exact copies alone, None bars nothing.
    candidates: the diverse selector sees candidates * budget of the most informative frames.
    k, empty_place: see aggregate.frame_values.
    gain_per_second: choose by gain per second of a person, `cost` giving the seconds.
    stop_gain: AP that the next batch must promise, below which the advice is to stop.
    """

    strategy: str = "auto"
    cold_start: str = "typiclust"
    min_labelled: int = 0
    control_share: float = 0.10
    cap_per_group: int | None = None
    class_need: float = 1.0
    class_quotas: Mapping[str, int] = field(default_factory=dict)
    near_duplicate: float | None = 0.05
    candidates: float | None = 4.0
    k: int = 3
    empty_place: float = 0.0
    gain_per_second: bool = False
    cost: CostModel = field(default_factory=CostModel)
    stop_gain: float = 0.002

    def __post_init__(self) -> None:
        """Report every fault at once."""
        faults = []
        if not 0 <= self.control_share <= 1:
            faults.append(f"control_share must lie in 0..1, found {self.control_share}")
        if self.cap_per_group is not None and self.cap_per_group < 1:
            faults.append(f"cap_per_group must be 1 or more, found {self.cap_per_group}")
        if self.near_duplicate is not None and not 0 <= self.near_duplicate < np.inf:
            faults.append(f"near_duplicate must be 0 or more, found {self.near_duplicate}")
        if self.candidates is not None and not 1 <= self.candidates < np.inf:
            faults.append(f"candidates must be 1 or more, found {self.candidates}")
        if not 0 <= self.class_need < np.inf:
            faults.append(f"class_need must be 0 or more, found {self.class_need}")
        if self.k < 1:
            faults.append(f"k must be 1 or more, found {self.k}")
        if not 0 <= self.empty_place <= 1:
            faults.append(f"empty_place must lie in 0..1, found {self.empty_place}")
        faults += [
            f"class_quotas[{name!r}] must be 0 or more, found {wanted}"
            for name, wanted in self.class_quotas.items()
            if wanted < 0
        ]
        if faults:
            raise InvalidPoolError("\n".join(faults))


def choose(
    pool: Pool, *, budget: int, seed: int, state: ProjectState, settings: SelectionSettings
) -> Selection:
    """Choose the next batch: a random control arm first, then the strategy's part of the rest.

    Returns min(budget, len(pool)) distinct frames, best first with the control frames spread
    evenly between; fewer only where cap_per_group leaves no more, which the notes say. The same
    pool, state, settings and seed give the same batch. Raises EmptyPoolError, InvalidPoolError
    or UnknownStrategyError.
    """
    check_budget(pool, budget)
    phase, name, notes = _phase(pool, state, settings)
    chosen = strategy(name)
    streams = np.random.default_rng(seed).spawn(2)
    size = min(len(pool), budget)
    rank = content_rank(pool)
    control = control_rows(rank, control_size(size, settings.control_share), streams[0])
    if isinstance(chosen, QueryStrategy):
        chosen = _fitted(chosen, pool, state, settings)
    rows, scores, texts = _strategy_part(
        chosen, pool, size - len(control), streams[1], control, rank
    )
    if len(rows) < size - len(control):
        notes["cap_per_group"] = (
            f"{size - len(control) - len(rows)} frames short of the budget: at most "
            f"{settings.cap_per_group} of a group, and no other group has frames left"
        )
    ranked, places = interleave(rows, control)
    arms = np.full(len(ranked), "strategy")
    arms[places] = "control"
    weights = np.full(len(ranked), np.nan)
    weights[places] = len(pool) / max(1, len(control))
    is_control = arms == "control"
    ranked_scores = np.full(len(ranked), np.nan)
    ranked_scores[is_control] = scores[len(rows) :]
    ranked_scores[~is_control] = scores[: len(rows)]
    reasons = iter(texts)
    return Selection(
        ids=pool.ids[ranked],
        scores=ranked_scores,
        reasons=tuple(CONTROL if control_arm else next(reasons) for control_arm in is_control),
        arms=arms,
        weights=weights,
        strategy=name,
        phase=phase,
        advice=advice(state.curve, batch=size, stop_gain=settings.stop_gain),
        notes=notes,
    )


def _phase(
    pool: Pool, state: ProjectState, settings: SelectionSettings
) -> tuple[str, str, dict[str, str]]:
    """Return the phase, the name of the strategy, and notes that say why."""
    seen = pool.objects is not None and len(pool.objects.probabilities) > 0
    if not state.trusted:
        why = "no trusted model yet"
    elif state.labelled < settings.min_labelled:
        why = f"{state.labelled} labelled frames, fewer than {settings.min_labelled}"
    elif not seen:
        why = "the model proposes no object in the whole pool"
    else:
        why = ""
    phase = COLD_START if why else INFORMED
    notes = {"phase": why or "a trusted model has looked at the pool"}
    if settings.strategy != "auto":
        return phase, settings.strategy, notes
    embedded = pool.embeddings is not None and pool.embeddings.shape[1] > 0
    if why:
        if embedded or settings.cold_start not in DIVERSE:
            return phase, settings.cold_start, notes
        notes["strategy"] = "at random, since the pool has no embeddings to compare frames by"
        return phase, "random", notes
    if embedded:
        return phase, DEFAULT_STRATEGY, notes
    notes["strategy"] = "by uncertainty alone, since the pool has no embeddings for diversity"
    return phase, "entropy_topk_mean", notes


def _fitted(
    chosen: QueryStrategy, pool: Pool, state: ProjectState, settings: SelectionSettings
) -> QueryStrategy:
    """Give the strategy what the project knows."""
    informed = chosen.measure is not None and pool.objects is not None
    need = class_need(state, strength=settings.class_need) if informed else None
    seconds = (
        expected_seconds(pool.objects, settings.cost)
        if settings.gain_per_second and pool.objects is not None
        else None
    )
    context = Context(
        class_need=need,
        known=state.labelled_embeddings if pool.embeddings is not None else None,
        seconds=seconds,
        quotas=_quotas(pool, state, settings),
        class_names=state.class_names,
    )
    return replace(
        chosen,
        context=context,
        cap_per_group=settings.cap_per_group,
        near_duplicate=settings.near_duplicate if chosen.selector != "random" else None,
        candidates=settings.candidates if chosen.candidates is not None else None,
        k=settings.k,
        empty_place=settings.empty_place,
    )


def _quotas(
    pool: Pool, state: ProjectState, settings: SelectionSettings
) -> tuple[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]], int], ...]:
    if not settings.class_quotas or pool.objects is None:
        return ()
    unknown = [name for name in settings.class_quotas if name not in state.class_names]
    if unknown:
        raise InvalidPoolError(
            f"class_quotas names {', '.join(unknown)}, which is no class of the project; there "
            f"are {', '.join(state.class_names) or 'none'}"
        )
    return tuple(
        (name, presence(pool.objects, state.class_names.index(name)) >= 0.3, wanted)
        for name, wanted in settings.class_quotas.items()
    )


def _strategy_part(
    chosen: Strategy,
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    control: IntArray,
    rank: IntArray,
) -> tuple[IntArray, FloatArray, list[str]]:
    """Return the rows of the strategy's part, the scores of those and of control, the reasons."""
    if isinstance(chosen, QueryStrategy):
        picks = chosen.pick(pool, budget=budget, rng=rng, barred=control, rank=rank)
        texts = chosen.reasons(pool, picks)
        return picks.rows, picks.values[np.concatenate([picks.rows, control])], list(texts)
    # A strategy of the team's own does not know the control arm: ask for more and drop those.
    if budget < 1:
        return np.zeros(0, np.int64), np.full(len(control), np.nan), []
    answer = chosen(pool, budget=min(len(pool), budget + len(control)), rng=rng)
    place = {str(name): row for row, name in enumerate(pool.ids)}
    barred = set(control.tolist())
    kept = [i for i, name in enumerate(answer.ids) if place[str(name)] not in barred][:budget]
    rows = np.array([place[str(answer.ids[i])] for i in kept], np.int64)
    scores = np.concatenate([np.asarray(answer.scores, float)[kept], np.full(len(control), np.nan)])
    return rows, scores, [answer.reasons[i] for i in kept]
