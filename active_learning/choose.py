"""The entry point of a round: determine the project's phase and select the frames to label."""

from __future__ import annotations

import numpy as np

from active_learning.control import control_rows, control_size, early_share, interleave
from active_learning.pool import FloatArray, IntArray, Pool, ProjectState, Selection
from active_learning.prepared import PreparedStrategy, prepare
from active_learning.reasons import CONTROL
from active_learning.selectors.ordering import content_rank
from active_learning.settings import SelectionSettings
from active_learning.stopping import advice
from active_learning.strategies import (
    DEFAULT_STRATEGY,
    DIVERSE,
    ONE_CLASS_STRATEGY,
    check_budget,
    strategy,
)

__all__ = ["SelectionSettings", "choose"]

_ONE_CLASS = (
    "with one class there is no rarer one to look for, and in replays uncertainty alone saved no "
    "labels compared with random frames"
)
_WHOLE_POOL = "the batch takes the rest of the pool: selection saves nothing here"

COLD_START, INFORMED, NAMED = "cold start", "uncertainty and diversity", "set by hand"
WEAK = "uncertainty and diversity of a weak model"


def choose(
    pool: Pool, *, budget: int, seed: int, state: ProjectState, settings: SelectionSettings
) -> Selection:
    """Select the next batch: a random control arm first, then the strategy's part from the rest.

    Returns min(budget, len(pool)) distinct frames, best first, with the control frames spread
    evenly; fewer only if cap_per_group leaves no more, which the notes report. The same pool,
    state, settings and seed give the same batch. Raises EmptyPoolError, InvalidPoolError or
    UnknownStrategyError.
    """
    check_budget(pool, budget)
    phase, name, notes = _phase(pool, state, settings)
    chosen = prepare(strategy(name), pool, state, settings)
    streams = np.random.default_rng(seed).spawn(2)
    size = min(len(pool), budget)
    rank = content_rank(pool)
    share = settings.control_share
    if settings.strategy == "auto":
        share = early_share(share, labelled=state.labelled, warmup=settings.control_warmup_frames)
    weak = state.weak and phase == WEAK
    if weak and settings.control_share > 0 and share < settings.weak_share:
        share = settings.weak_share
        notes["control_share"] = (
            f"{share:.2f} at random, more than later: the model is too weak to serve"
        )
    elif share > settings.control_share:
        notes["control_share"] = (
            f"{share:.2f} at random, more than later: {state.labelled} labelled frames, fewer "
            f"than {settings.control_warmup_frames}"
        )
    control = control_rows(rank, control_size(size, share), streams[0])
    rows, scores, texts = _strategy_part(
        chosen, pool, size - len(control), streams[1], control, rank
    )
    if len(rows) < size - len(control):
        notes["cap_per_group"] = (
            f"{size - len(control) - len(rows)} frames short of the budget: at most "
            f"{settings.cap_per_group} per group, and no other group has frames left"
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
        advice=_advice(pool, state, settings, name=name, size=size, weak=weak, share=share),
        notes=notes,
    )


def _phase(
    pool: Pool, state: ProjectState, settings: SelectionSettings
) -> tuple[str, str, dict[str, str]]:
    """Return the phase, the name of the strategy, and notes that explain it."""
    seen = pool.objects is not None and len(pool.objects.probabilities) > 0
    if not state.trusted:
        why = "no trusted model yet"
    elif state.labelled < settings.min_labelled:
        why = f"{state.labelled} labelled frames, fewer than {settings.min_labelled}"
    elif not seen:
        why = "the model proposes no object in the whole pool"
    else:
        why = ""
    phase = COLD_START if why else WEAK if state.weak else INFORMED
    seen_by = (
        "a model that is too weak to serve, but already finds objects, has predicted the pool"
        if state.weak
        else "a trusted model has predicted the pool"
    )
    notes = {"phase": why or seen_by}
    if settings.strategy != "auto":
        return NAMED, settings.strategy, notes
    embedded = pool.embeddings is not None and pool.embeddings.shape[1] > 0
    if why:
        if embedded or settings.cold_start not in DIVERSE:
            return phase, settings.cold_start, notes
        notes["strategy"] = "at random, since the pool has no embeddings to compare frames by"
        return phase, "random", notes
    one_class = pool.objects is not None and pool.objects.probabilities.shape[1] == 1
    if one_class:
        notes["strategy"] = f"at random within each kind of frame: {_ONE_CLASS}"
    if embedded:
        return phase, ONE_CLASS_STRATEGY if one_class else DEFAULT_STRATEGY, notes
    if one_class:
        return phase, "random", notes
    notes["strategy"] = "by uncertainty alone, since the pool has no embeddings for diversity"
    return phase, "entropy_topk_mean", notes


def _advice(
    pool: Pool,
    state: ProjectState,
    settings: SelectionSettings,
    *,
    name: str,
    size: int,
    weak: bool,
    share: float,
) -> str:
    """Return advice: expected gain of the next labels, and when selection saves nothing."""
    # A flat curve is no reason to stop before any model serves.
    stop_gain = -1.0 if weak else settings.stop_gain
    texts = [advice(state.curve, batch=size, stop_gain=stop_gain)]
    if weak:
        texts.insert(
            0, f"the model is too weak to serve: {share:.0%} of the batch is drawn at random"
        )
    if size == len(pool):
        texts.append(_WHOLE_POOL)
    elif settings.strategy == "auto" and name == ONE_CLASS_STRATEGY:
        texts.append(f"selection saves nothing here: {_ONE_CLASS}")
    return "; ".join(text for text in texts if text)


def _strategy_part(
    chosen: PreparedStrategy,
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    control: IntArray,
    rank: IntArray,
) -> tuple[IntArray, FloatArray, list[str]]:
    """Return the rows of the strategy's part, the scores of these and of control, the reasons."""
    picks = chosen.pick(pool, budget=budget, rng=rng, barred=control, rank=rank)
    texts = chosen.reasons(pool, picks)
    # A diverse batch is selected as a set, without an order: people get the most valuable frames
    # first, and near-duplicates that filled it up last.
    firm = len(picks.rows) - picks.duplicates
    order = np.arange(len(picks.rows))
    if not picks.ranked:
        order[:firm] = np.argsort(-picks.values[picks.rows[:firm]], kind="stable")
    rows = picks.rows[order]
    return rows, picks.values[np.concatenate([rows, control])], [texts[n] for n in order]
