"""The table of query strategies by name.

Another package adds strategies through an entry point of the group cvat_active_learning.strategies
that names an object with the protocol pool.Strategy; it is imported on first use.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from active_learning.errors import ExtensionError, UnknownStrategyError
from active_learning.measures.aggregate import AGGREGATIONS
from active_learning.measures.confident import MIN_CONFIDENCE
from active_learning.pool import Strategy
from active_learning.query_strategy import DIVERSE, QueryStrategy, check_budget

__all__ = [
    "DEFAULT_STRATEGY",
    "DIVERSE",
    "GROUP",
    "ONE_CLASS_STRATEGY",
    "STRATEGIES",
    "QueryStrategy",
    "check_budget",
    "names",
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
            "uncertainty_diversity",
            "stratified",
            "entropy",
            "capped_sum",
            min_confidence=MIN_CONFIDENCE,
        ),
        QueryStrategy(
            "uncertainty_diversity_sum",
            "stratified",
            "entropy",
            "sum",
            min_confidence=MIN_CONFIDENCE,
        ),
        QueryStrategy(
            *("uncertainty_k_means_pp", "k_means_pp", "entropy", "sum"),
            candidates=2.0,
            min_confidence=MIN_CONFIDENCE,
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
ONE_CLASS_STRATEGY = "stratified_random"  # for models with one class, see choose
GROUP = "cvat_active_learning.strategies"


def reads_disagreement(name: str) -> bool:
    """Return whether a strategy uses Objects.disagreement, which needs a second prediction pass."""
    chosen = strategy(name) if name in names() else None
    return isinstance(chosen, QueryStrategy) and chosen.measure == "disagreement"


def names() -> tuple[str, ...]:
    """Return the names of all strategies, built-in and from other packages, sorted."""
    return tuple(sorted({*STRATEGIES, *(entry.name for entry in entry_points(group=GROUP))}))


def strategy(name: str) -> Strategy:
    """Return the strategy of that name.

    Raises UnknownStrategyError, which lists the known names, and ExtensionError when two packages
    provide the name or another package's strategy cannot be imported or called.
    """
    offered = tuple(entry_points(group=GROUP, name=name))
    own = STRATEGIES.get(name)
    if len(offered) + (own is not None) > 1:
        packages = [_package(entry) for entry in offered] + ["active_learning"] * (own is not None)
        raise ExtensionError(
            f"the strategy {name!r} is provided by {' and by '.join(packages)}; names are unique: "
            "rename the entry point, or uninstall one of them"
        )
    if own is not None:
        return own
    if not offered:
        raise UnknownStrategyError(f"no strategy {name!r}; known are {', '.join(names())}")
    return _loaded(offered[0])


def _loaded(entry: EntryPoint) -> Strategy:
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise ExtensionError(
            f"the strategy {entry.name!r} of {_package(entry)} ({entry.value}) cannot be imported: "
            f"{error}"
        ) from error
    if not callable(found):
        raise ExtensionError(
            f"the strategy {entry.name!r} of {_package(entry)} ({entry.value}) must be a function "
            f"with the signature of active_learning.pool.Strategy, found {type(found).__name__}"
        )
    return cast("Strategy", found)


def _package(entry: EntryPoint) -> str:
    return "an unnamed package" if entry.dist is None else entry.dist.name
