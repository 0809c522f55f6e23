"""Cold start: typical frames of large groups first, and unlabelled groups before labelled ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from active_learning.picks import SelectionContext
from active_learning.pool import Pool
from active_learning.strategies import STRATEGIES


def three_clusters() -> Pool:
    """20, 12 and 8 frames around three far points, each with one frame at the very middle."""
    rng = np.random.default_rng(0)
    parts, names = [], []
    for name, size, centre in (("big", 20, 0.0), ("mid", 12, 50.0), ("small", 8, -70.0)):
        spread = rng.normal(size=(size, 3))
        spread[0] = 0
        parts.append(centre + spread)
        names += [f"{name}-{i}" for i in range(size)]
    return Pool(ids=np.array(names), embeddings=np.concatenate(parts))


def chosen(name: str, pool: Pool, budget: int, known=None) -> list[str]:
    entry = replace(STRATEGIES[name], context=SelectionContext(known=known))
    return [str(i) for i in entry(pool, budget=budget, rng=np.random.default_rng(0)).ids]


def test_typiclust_takes_one_of_each_cluster_largest_first():
    found = [name.split("-")[0] for name in chosen("typiclust", three_clusters(), 3)]

    assert found == ["big", "mid", "small"]


def test_typiclust_takes_the_most_typical_frame_of_a_cluster():
    """Typicality by hand: the inverse of the mean distance to up to 20 neighbours."""
    pool = three_clusters()
    own = pool.embeddings[:20]
    gaps = np.sqrt(((own[:, None] - own[None]) ** 2).sum(axis=2)).sum(axis=1)

    assert chosen("typiclust", pool, 3)[0] == f"big-{gaps.argmin()}"


def test_typiclust_goes_where_no_label_is():
    known = np.array([[0.0, 0.1, 0.0]])

    found = [name.split("-")[0] for name in chosen("typiclust", three_clusters(), 2, known)]

    assert found == ["mid", "small"]


def test_probcover_covers_the_largest_group_first():
    assert chosen("probcover", three_clusters(), 1)[0].startswith("big")


def test_probcover_skips_what_labelled_frames_cover():
    pool = three_clusters()
    known = pool.embeddings[:20]

    assert not chosen("probcover", pool, 1, known)[0].startswith("big")


def test_reasons_count_the_frames_that_a_choice_stands_for():
    pool = three_clusters()
    answer = STRATEGIES["typiclust"](pool, budget=3, rng=np.random.default_rng(0))

    assert answer.reasons[0] == "typical of a cluster of 20 frames with no label yet"
    assert answer.reasons[1].startswith("typical of a cluster of 12 frames with no label yet")
