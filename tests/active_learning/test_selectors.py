"""The quick selectors give what the plain algorithms give."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.errors import InvalidPoolError
from active_learning.selectors.distances import EmbeddingSpace, squared_distances
from active_learning.selectors.k_center import k_center
from active_learning.selectors.k_means_pp import k_means_pp
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.ordering import top_rows
from active_learning.selectors.rankings import SelectorInput, weighted_random


def choice(vectors, *, values=None, known=None, seed=0) -> SelectorInput:
    space = EmbeddingSpace.of(vectors)
    return SelectorInput(
        values=np.ones(len(vectors)) if values is None else values,
        rank=np.arange(len(vectors)),
        rng=np.random.default_rng(seed),
        space=space,
        known=None if known is None else space.place(known),
    )


def everything(count: int) -> SelectionLimits:
    return SelectionLimits(np.ones(count, bool))


def plain_k_center(vectors, weights, budget, known):
    """The algorithm as the textbook has it, in float64, one distance at a time."""
    if known is None:
        centred = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1)
        best = np.flatnonzero(weights == weights.max())
        taken = [int(best[np.argmin(centred[best])])]
    else:
        taken = []
    while len(taken) < budget:
        centres = np.concatenate([vectors[taken], known]) if known is not None else vectors[taken]
        gaps = np.sqrt(((vectors[:, None] - centres[None]) ** 2).sum(axis=2)).min(axis=1)
        keys = weights * gaps
        keys[taken] = -1
        taken.append(int(np.argmax(keys)))
    return taken


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_known", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_k_center_is_the_plain_greedy_algorithm(seed, with_known, weighted):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(3000, 6)) + 5 * rng.integers(0, 3, (3000, 1))
    known = rng.normal(size=(7, 6)) if with_known else None
    weights = rng.random(3000) if weighted else np.ones(3000)

    found = k_center(choice(vectors, values=weights, known=known), everything(3000), budget=40)

    assert list(found) == plain_k_center(vectors, weights, 40, known)


def test_k_means_pp_draws_with_the_textbook_chances():
    """Four points on a line; the first is labelled, so the chances are d² = 1, 4, 9 of 14."""
    line = np.array([[0.0], [1.0], [2.0], [3.0]])
    drawn = np.zeros(4)
    for seed in range(2000):
        drawn[k_means_pp(choice(line, known=line[:1], seed=seed), everything(4), budget=1)] += 1

    assert drawn / 2000 == pytest.approx(np.array([0, 1, 4, 9]) / 14, abs=0.04)


def test_k_means_pp_second_draw_follows_the_first():
    """After 3 (chance 9/14) the chances are 1 and 1; after 2: 1 and 1; after 1: 1 and 4."""
    line = np.array([[0.0], [1.0], [2.0], [3.0]])
    pairs = {}
    for seed in range(2000):
        pair = tuple(k_means_pp(choice(line, known=line[:1], seed=seed), everything(4), budget=2))
        pairs[pair] = pairs.get(pair, 0) + 1 / 2000

    expected = {(3, 1): 9 / 28, (3, 2): 9 / 28, (2, 1): 4 / 28, (2, 3): 4 / 28}
    expected |= {(1, 2): 1 / 14 * 1 / 5, (1, 3): 1 / 14 * 4 / 5}
    assert pairs == pytest.approx(expected, abs=0.04)


def test_k_means_pp_weighs_chances_by_value():
    line = np.array([[0.0], [1.0], [-1.0]])
    drawn = np.zeros(3)
    for seed in range(2000):
        asked = choice(line, values=np.array([1.0, 3.0, 1.0]), known=line[:1], seed=seed)
        drawn[k_means_pp(asked, everything(3), budget=1)] += 1

    assert drawn / 2000 == pytest.approx([0, 0.75, 0.25], abs=0.04)


def test_weighted_random_draws_with_chances_proportional_to_the_values():
    values = np.array([0.0, 1.0, 2.0, 5.0])
    drawn = np.zeros(4)
    for seed in range(2000):
        asked = SelectorInput(values, np.arange(4), np.random.default_rng(seed))
        drawn[weighted_random(asked, everything(4), budget=1)] += 1

    assert drawn / 2000 == pytest.approx(values / 8, abs=0.04)


def test_weighted_random_takes_frames_of_value_zero_last():
    asked = SelectorInput(np.array([0.0, 1e-9, 0.0, 1.0]), np.arange(4), np.random.default_rng(1))

    assert set(weighted_random(asked, everything(4), budget=2)) == {1, 3}


def test_limits_hold_while_a_diverse_selector_runs():
    """Two videos, one of each may be taken: the farthest of a full one is passed over."""
    vectors = np.array([[0.0], [9.0], [10.0], [5.0]])
    limits = SelectionLimits(np.ones(4, bool), groups=np.array(["a", "b", "b", "a"]), cap=1)

    found = k_center(choice(vectors, known=np.array([[4.0]])), limits, budget=4)

    assert list(found) == [2, 0]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_distances_are_right_for_every_kind_of_float(kind):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 8)).astype(kind)
    exact = vectors.astype(float)
    typical = np.sqrt(2 * exact.var(axis=0).sum())
    space = EmbeddingSpace.of(vectors)

    nearest = space.nearest(space.rows(np.arange(20)))

    gaps = ((exact[:, None] - exact[None, :20]) ** 2).sum(axis=2).min(axis=1)
    assert nearest == pytest.approx(gaps / typical**2, abs=1e-4)
    assert nearest[:20] == pytest.approx(np.zeros(20), abs=1e-9)


def test_a_mean_far_from_zero_costs_no_digits():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 8))

    near = EmbeddingSpace.of(vectors).nearest(EmbeddingSpace.of(vectors).rows(np.arange(9)))
    far = EmbeddingSpace.of((vectors + 300).astype(np.float32))

    assert far.nearest(far.rows(np.arange(9))) == pytest.approx(near, abs=1e-3)


def test_embeddings_too_large_for_float32_raise():
    with pytest.raises(InvalidPoolError, match="scale them"):
        EmbeddingSpace.of(np.array([[1e30, 0.0], [-1e30, 1.0]]))


def test_labelled_embeddings_of_another_width_raise():
    with pytest.raises(InvalidPoolError, match="made by another model"):
        EmbeddingSpace.of(np.eye(4)).place(np.eye(3))


def test_the_typical_distance_is_one():
    rng = np.random.default_rng(2)
    space = EmbeddingSpace.of(rng.normal(size=(400, 3)) * 1000 + 5)
    rows = space.rows(np.arange(400))

    assert squared_distances(rows, rows).mean() == pytest.approx(1, rel=0.01)


def test_top_rows_breaks_ties_by_rank():
    values = np.array([1.0, 3.0, 3.0, 3.0, 2.0])

    assert list(top_rows(values, 2, np.array([0, 4, 1, 2, 3]))) == [2, 3]
    assert list(top_rows(values, 9, np.array([0, 4, 1, 2, 3]))) == [2, 3, 1, 4, 0]
    assert list(top_rows(values, 0, np.arange(5))) == []
