"""The table of query strategies: a name, and what it is made of."""

from __future__ import annotations

from active_learning.aggregate import AGGREGATIONS
from active_learning.believed import BELIEVED
from active_learning.errors import UnknownStrategyError
from active_learning.pool import Strategy
from active_learning.query_strategy import DIVERSE, QueryStrategy, check_budget

__all__ = [
    "DEFAULT_STRATEGY",
    "DIVERSE",
    "ONE_CLASS_STRATEGY",
    "STRATEGIES",
    "QueryStrategy",
    "check_budget",
    "reads_disagreement",
    "strategy",
]


def _table() -> dict[str, Strategy]:
    entries = [
        QueryStrategy("random", "random"),
        QueryStrategy("stratified_random", "stratified_random"),
        QueryStrategy("k_center", "k_center"),
        QueryStrategy("k_means_pp", "k_means_pp"),
        QueryStrategy("typiclust", "typiclust"),
        QueryStrategy("probcover", "probcover"),
        QueryStrategy("top_scores", "top_k", "scores"),
        QueryStrategy("weighted_random", "weighted_random", "entropy"),
        QueryStrategy("uncertainty_k_center", "k_center", "entropy"),
        QueryStrategy("badge", "k_means_pp", "entropy"),
        QueryStrategy(
            "uncertainty_diversity", "stratified", "entropy", "capped_sum", believed=BELIEVED
        ),
        QueryStrategy(
            "uncertainty_diversity_sum", "stratified", "entropy", "sum", believed=BELIEVED
        ),
        QueryStrategy(
            *("uncertainty_k_means_pp", "k_means_pp", "entropy", "sum"),
            candidates=2.0,
            believed=BELIEVED,
        ),
        QueryStrategy("disagreement", "top_k", "disagreement"),
        QueryStrategy("disagreement_diversity", "k_means_pp", "disagreement", candidates=2.0),
        QueryStrategy("likely_misses", "top_k", "likely_miss", "sum"),
        QueryStrategy("class_need", "top_k", "certainty", "max"),
    ]
    entries += [
        QueryStrategy(f"{measure}_{aggregation}", "top_k", measure, aggregation)
        for measure in ("entropy", "margin", "least_confidence")
        for aggregation in AGGREGATIONS
    ]
    return {entry.name: entry for entry in entries}


STRATEGIES: dict[str, Strategy] = _table()
DEFAULT_STRATEGY = "uncertainty_diversity"
ONE_CLASS_STRATEGY = "stratified_random"  # of a model of one class, see choose


def reads_disagreement(name: str) -> bool:
    """Whether the strategy of that name wants Objects.disagreement, a second look at the pool."""
    chosen = STRATEGIES.get(name)
    return isinstance(chosen, QueryStrategy) and chosen.measure == "disagreement"


def strategy(name: str) -> Strategy:
    """Return the strategy of that name; UnknownStrategyError lists the names there are."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise UnknownStrategyError(
            f"no strategy {name!r}; there are {', '.join(sorted(STRATEGIES))}"
        ) from None
