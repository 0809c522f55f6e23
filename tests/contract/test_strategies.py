"""Laws over every entry of the strategies' table: a new line in it is tested as it stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning.errors import EmptyPoolError, InvalidPoolError, UnknownStrategyError
from active_learning.picks import SelectionContext
from active_learning.pool import Objects, Pool
from active_learning.strategies import DIVERSE, STRATEGIES, QueryStrategy, strategy

NAMES = sorted(STRATEGIES)
ENTRIES = {name: entry for name, entry in STRATEGIES.items() if isinstance(entry, QueryStrategy)}
DIVERSE_NAMES = sorted(name for name, entry in ENTRIES.items() if entry.selector in DIVERSE)
RANKING_NAMES = sorted(name for name, entry in ENTRIES.items() if entry.selector == "top_k")


def make_pool(seed: int, count: int, *, width: int = 5, classes: int = 3, most: int = 4) -> Pool:
    """A pool of distinct frames with 0 to `most` candidate objects each."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, most + 1, count)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    objects = Objects(
        offsets=offsets,
        probabilities=rng.random((offsets[-1], classes)),
        disagreement=rng.random(offsets[-1]),
    )
    return Pool(
        ids=np.array([f"frame-{i}" for i in range(count)]),
        embeddings=rng.normal(size=(count, width)),
        groups=np.array([f"video-{i % 4}" for i in range(count)]),
        objects=objects,
        scores=rng.random(count),
    )


def reorder(pool: Pool, order: np.ndarray, ids: np.ndarray) -> Pool:
    """The same frames in another order, under other names."""
    objects = pool.objects
    starts, stops = objects.offsets[:-1][order], objects.offsets[1:][order]
    rows = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
    rows = rows.astype(np.int64)
    return Pool(
        ids=ids,
        embeddings=pool.embeddings[order],
        groups=pool.groups[order],
        objects=Objects(
            offsets=np.concatenate([[0], np.cumsum(stops - starts)]),
            probabilities=objects.probabilities[rows],
            disagreement=objects.disagreement[rows],
        ),
        scores=pool.scores[order],
    )


def choose(name: str, pool: Pool, budget: int, seed: int = 0) -> list[str]:
    return [
        str(i) for i in strategy(name)(pool, budget=budget, rng=np.random.default_rng(seed)).ids
    ]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), budget=st.integers(1, 50))
def test_gives_distinct_frames_of_the_pool_as_many_as_there_are(name, seed, count, budget):
    pool = make_pool(seed, count)

    chosen = strategy(name)(pool, budget=budget, rng=np.random.default_rng(seed))

    assert len(set(chosen.ids)) == len(chosen.ids) == min(budget, count)
    assert set(chosen.ids) <= set(pool.ids)
    assert np.isfinite(chosen.scores).all()
    assert all(chosen.reasons)
    assert chosen.strategy == name


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 30), budget=st.integers(1, 12))
def test_order_and_names_of_the_frames_do_not_matter(name, seed, count, budget):
    """Frames are distinct here, so nothing ties: the same frames must come, in order."""
    pool = make_pool(seed, count)
    order = np.random.default_rng(seed + 1).permutation(count)
    renamed = np.array([f"{i * 7919 % 104729:06d}" for i in range(count)])
    old_name = dict(zip(renamed, pool.ids[order], strict=True))

    before = choose(name, pool, budget)
    after = choose(name, reorder(pool, order, renamed), budget)

    assert [str(old_name[i]) for i in after] == before


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_answer(name):
    pool = make_pool(3, 60)

    assert choose(name, pool, 9, seed=5) == choose(name, pool, 9, seed=5)


@pytest.mark.parametrize("name", sorted(set(NAMES) & {"random", "weighted_random", "k_means_pp"}))
def test_another_seed_another_answer_where_chance_has_a_say(name):
    pool = make_pool(3, 60)

    assert choose(name, pool, 9, seed=5) != choose(name, pool, 9, seed=6)


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_without_objects_has_a_place(name):
    """In a pool where only one frame has an object, all frames can still be chosen, once."""
    pool = replace(
        make_pool(1, 6),
        objects=Objects(
            offsets=np.array([0, 0, 0, 1, 1, 1, 1]),
            probabilities=np.array([[0.5, 0.1, 0.1]]),
            disagreement=np.array([0.4]),
        ),
    )

    assert sorted(choose(name, pool, 6)) == sorted(pool.ids)


@pytest.mark.parametrize(
    "name", sorted(n for n, e in ENTRIES.items() if e.measure not in (None, "scores"))
)
def test_frames_without_objects_stand_where_empty_place_puts_them(name):
    pool = make_pool(1, 40)
    empty = np.diff(pool.objects.offsets) == 0
    last = replace(ENTRIES[name], empty_frame_quantile=0.0).values(pool)
    first = replace(ENTRIES[name], empty_frame_quantile=1.0).values(pool)

    assert empty.any()
    assert np.all(last[empty] == last[~empty].min())
    assert np.all(first[empty] == first[~empty].max())


@pytest.mark.parametrize("name", NAMES)
def test_no_object_in_the_whole_pool_is_no_error(name):
    pool = replace(
        make_pool(2, 8),
        objects=Objects(np.zeros(9, int), np.zeros((0, 3)), disagreement=np.zeros(0)),
    )

    assert len(set(choose(name, pool, 5))) == 5


@pytest.mark.parametrize("name", DIVERSE_NAMES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(2, 8))
def test_two_far_clusters_and_a_budget_of_two_give_one_of_each(name, seed, size):
    pool = make_pool(seed, 2 * size, most=3)
    side = np.arange(2 * size) % 2
    far = np.where(side[:, None] == 0, 1000.0, -700.0)
    pool = replace(pool, embeddings=far + 1e-3 * pool.embeddings)

    chosen = choose(name, pool, 2, seed=seed)

    assert {side[int(i.split("-")[1])] for i in chosen} == {0, 1}


@pytest.mark.parametrize("name", RANKING_NAMES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), budget=st.integers(1, 30))
def test_a_known_ranking_comes_back_exactly(name, seed, budget):
    """Values fall from frame to frame by construction; the top of that ranking is the batch."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(30)
    level = np.empty(30)
    level[order] = np.linspace(0.49, 0.01, 30)
    pool = Pool(
        ids=np.array([f"frame-{i}" for i in range(30)]),
        objects=Objects(np.arange(31), level[:, None], disagreement=level),
        scores=level,
    )

    assert choose(name, pool, budget) == [f"frame-{i}" for i in order[:budget]]


def test_the_ranking_law_covers_the_table():
    assert {"top_scores", "disagreement", "entropy_sum", "margin_topk_mean"} <= set(RANKING_NAMES)
    assert {"uncertainty_diversity", "k_center", "typiclust", "badge"} <= set(DIVERSE_NAMES)
    assert len(ENTRIES) == len(STRATEGIES)


@pytest.mark.parametrize("name", NAMES)
def test_identical_frames_are_all_chosen_once(name):
    pool = Pool(
        ids=np.array([f"frame-{i}" for i in range(30)]),
        embeddings=np.full((30, 4), 7.25),
        objects=Objects(np.arange(31), np.full((30, 2), 0.3), disagreement=np.full(30, 0.5)),
        scores=np.full(30, 0.2),
    )

    assert len(set(choose(name, pool, 12))) == 12
    assert sorted(choose(name, pool, 99)) == sorted(pool.ids)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [0, -1, 2.5, True])
def test_a_budget_that_is_no_count_raises(name, budget):
    with pytest.raises(InvalidPoolError, match="budget must be"):
        strategy(name)(make_pool(0, 5), budget=budget, rng=np.random.default_rng(0))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_pool_raises(name):
    empty = Pool(ids=np.zeros(0, "<U1"), embeddings=np.zeros((0, 4)))

    with pytest.raises(EmptyPoolError):
        strategy(name)(empty, budget=3, rng=np.random.default_rng(0))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "random"])
def test_what_a_strategy_reads_and_the_pool_lacks_is_named(name):
    with pytest.raises(InvalidPoolError, match="pool"):
        choose(name, Pool(ids=np.array(["a", "b", "c"])), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_never_enter_a_pool(value):
    """Every strategy reads a Pool, and a Pool with such a value cannot be built."""
    good = make_pool(0, 4)
    bad_rows = good.embeddings.copy()
    bad_rows[2, 1] = value
    bad_scores = good.scores.copy()
    bad_scores[3] = value

    with pytest.raises(InvalidPoolError, match="'frame-2'"):
        replace(good, embeddings=bad_rows)
    with pytest.raises(InvalidPoolError, match="'frame-3'"):
        replace(good, scores=bad_scores)
    with pytest.raises(InvalidPoolError, match="row 0 is not finite"):
        Objects(np.array([0, 1]), np.array([[value]]))
    with pytest.raises(InvalidPoolError, match="disagreement"):
        Objects(np.array([0, 1]), np.array([[0.5]]), disagreement=np.array([value]))


POOL = make_pool(11, 80, most=6)
CHANGES = {
    "measure": ("entropy_max", {"measure": "least_confidence"}),
    "aggregation": ("entropy_max", {"aggregation": "sum"}),
    "k": ("entropy_topk_mean", {"k": 1}),
    "empty_frame_quantile": ("entropy_mean", {"empty_frame_quantile": 1.0}),
    "selector": ("entropy_max", {"selector": "k_center"}),
    "candidates": ("uncertainty_k_means_pp", {"candidates": None}),
    "min_confidence": ("entropy_sum", {"min_confidence": 0.7}),
    "cap_per_group": ("entropy_max", {"cap_per_group": 3}),
    "near_duplicate": ("entropy_max", {"near_duplicate": 0.8}),
    "class_need": (
        "entropy_max",
        {"context": SelectionContext(class_need=np.array([0.1, 0.1, 2.8]))},
    ),
    "known": ("k_center", {"context": SelectionContext(known=POOL.embeddings[:20])}),
    "seconds": ("entropy_sum", {"context": SelectionContext(seconds=np.linspace(1, 30, 80))}),
    "quotas": (
        "entropy_max",
        {"context": SelectionContext(quotas=(("x", np.arange(80) > 70, 4),))},
    ),
}


@pytest.mark.parametrize("parameter", sorted(CHANGES))
def test_every_parameter_changes_some_answer(parameter):
    name, change = CHANGES[parameter]
    entry = ENTRIES[name]
    rng = np.random.default_rng

    assert list(replace(entry, **change)(POOL, budget=12, rng=rng(0)).ids) != list(
        entry(POOL, budget=12, rng=rng(0)).ids
    )


def test_an_unknown_name_lists_the_names_there_are():
    with pytest.raises(UnknownStrategyError, match="uncertainty_diversity"):
        strategy("hardest")
