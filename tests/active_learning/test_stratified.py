"""A stratified batch: each kind of frame in its share, of each the most valuable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning.picks import SelectionContext
from active_learning.pool import Pool
from active_learning.query_strategy import QueryStrategy

STRATEGY = QueryStrategy("by kind", "stratified", "scores")
KINDS = np.array([0] * 60 + [1] * 30 + [2] * 10)  # frames of each kind, far apart


def place(kinds: np.ndarray, seed: int = 0) -> np.ndarray:
    spread = np.random.default_rng(seed).normal(size=(len(kinds), 6))
    return 40 * np.eye(6)[kinds] + spread


def make_pool(scores: np.ndarray) -> Pool:
    ids = np.array([f"{kind}-{row}" for row, kind in enumerate(KINDS)])
    return Pool(ids=ids, embeddings=place(KINDS), scores=scores)


def take(pool: Pool, budget: int, strategy: QueryStrategy = STRATEGY) -> list[str]:
    return list(strategy(pool, budget=budget, rng=np.random.default_rng(3)).ids)


def kinds(ids: list[str]) -> list[int]:
    return np.bincount([int(name[0]) for name in ids], minlength=3).tolist()


# Nine labels ask for three strata: as many as there are kinds.
@pytest.mark.parametrize("doubted", [0, 1, 2])
def test_a_kind_that_is_doubted_everywhere_gets_its_share_and_no_more(doubted):
    scores = np.random.default_rng(1).random(100) + 5 * (doubted == KINDS)

    assert kinds(take(make_pool(scores), 9)) == [5, 3, 1]


def test_of_each_kind_the_most_valuable_frames_are_taken():
    scores = np.random.default_rng(2).random(100)

    found = take(make_pool(scores), 9)

    for kind, count in enumerate(kinds(found)):
        rows = np.flatnonzero(kind == KINDS)
        best = rows[np.argsort(-scores[rows])][:count]
        assert {name for name in found if int(name[0]) == kind} == {f"{kind}-{r}" for r in best}


def test_labelled_frames_count_towards_the_share_of_their_kind():
    known = place(np.array([0, 0, 0, 0]), seed=8)
    strategy = replace(STRATEGY, context=SelectionContext(known=known))

    # 104 frames, 9 labels: 64/104, 30/104 and 10/104 of nine, less the four there are.
    assert kinds(take(make_pool(np.ones(100)), 5, strategy)) == [1, 3, 1]


def test_a_kind_with_too_few_frames_leaves_its_share_to_the_others():
    pool = replace(
        make_pool(1.0 + (KINDS == 2)),
        groups=np.array(["film" if kind == 1 else f"{row}" for row, kind in enumerate(KINDS)]),
    )

    # Two of [5, 3, 1] go to those that then lag most, not to the kind of the highest values.
    assert kinds(take(pool, 9, replace(STRATEGY, cap_per_group=1))) == [6, 1, 2]


def test_the_reason_says_among_how_many_of_its_kind():
    pool = make_pool(np.random.default_rng(4).random(100))

    found = STRATEGY(pool, budget=9, rng=np.random.default_rng(3))

    for name, reason in zip(found.ids, found.reasons, strict=True):
        count = {0: 60, 1: 30, 2: 10}[int(name[0])]
        assert f"among the most informative of {count} frames of its kind" in reason
