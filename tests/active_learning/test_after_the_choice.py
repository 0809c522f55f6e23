"""Queries, mistakes, stopping, duplicates and replays."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.duplicates import duplicate_groups
from active_learning.errors import InvalidPoolError
from active_learning.measures.class_need import class_need, object_weights
from active_learning.mistakes import FrameToCheck, likely_mistakes
from active_learning.pool import Objects, Pool, ProjectState
from active_learning.queries import object_queries
from active_learning.simulate import band, labels_to_reach, replay
from active_learning.stopping import advice, fit_curve

P = np.array([[0.99], [0.5], [0.97], [0.7], [0.2]])


def test_sure_objects_keep_the_expected_error_rate():
    """Errors of the best: 1 %, (1 + 3) / 2 = 2 %, (1 + 3 + 30) / 3 = 11 %."""
    found = object_queries(Objects(np.array([0, 5]), P), error_rate=0.02)

    assert list(found.sure) == [True, False, True, False, False]
    assert (found.sure_from, found.expected_errors) == (0.97, pytest.approx(0.04))
    assert list(found.ask) == [1, 3, 4]  # margins 1, 0.6, 0.4


def test_no_object_is_sure_when_none_keeps_the_rate():
    found = object_queries(Objects(np.array([0, 5]), P), error_rate=0.001, budget=2)

    assert not found.sure.any()
    assert (found.sure_from, list(found.ask)) == (None, [1, 3])


def test_need_reorders_what_is_asked():
    rows = np.array([[0.5, 0.0], [0.0, 0.6]])
    objects = Objects(np.array([0, 2]), rows)

    assert list(object_queries(objects).ask) == [0, 1]
    assert list(object_queries(objects, class_need=np.array([0.5, 1.5])).ask) == [1, 0]


def frame(name, boxes, ids, predicted, predicted_ids, scores):
    return FrameToCheck(
        name,
        np.array(boxes, float).reshape(-1, 4),
        np.array(ids, int),
        np.array(predicted, float).reshape(-1, 4),
        np.array(predicted_ids, int),
        np.array(scores, float),
    )


LEFT, RIGHT, SHIFTED = [0, 0, 10, 10], [20, 20, 40, 40], [5, 5, 15, 15]
SAME = ([LEFT, RIGHT], [0, 1], [0.9, 0.9])


def test_each_kind_of_planted_mistake_is_found_and_nothing_else():
    pytest.importorskip("cleanlab", reason="the optional extra that scores mistakes")
    frames = [
        frame("clean", [LEFT, RIGHT], [0, 1], *SAME),
        frame("missing", [LEFT], [0], [RIGHT, LEFT], [1, 0], [0.9, 0.9]),
        frame("swapped", [LEFT, RIGHT], [1, 1], *SAME),
        frame("shifted", [SHIFTED, RIGHT], [0, 1], *SAME),
        frame("unlabelled", [], [], [LEFT], [0], [0.9]),
        frame("unseen", [LEFT], [0], [], [], []),
        frame("empty", [], [], [], [], []),
    ]

    found = {
        (m.frame_id, m.kind, m.label, m.box, m.class_id) for m in likely_mistakes(frames, classes=2)
    }

    assert found == {
        ("missing", "overlooked", None, tuple(RIGHT), 1),
        ("unlabelled", "overlooked", None, tuple(LEFT), 0),
        ("swapped", "swapped", 0, tuple(LEFT), 1),
        ("shifted", "badly placed", 0, tuple(SHIFTED), 0),
    }


def test_mistakes_are_ranked_within_their_kind_and_merged():
    pytest.importorskip("cleanlab", reason="the optional extra that scores mistakes")
    frames = [
        frame("sure", [LEFT], [0], [LEFT, RIGHT], [0, 1], [0.9, 0.99]),
        frame("less", [LEFT], [0], [LEFT, RIGHT], [0, 1], [0.9, 0.7]),
        frame("swapped", [LEFT], [1], [LEFT], [0], [0.9]),
    ]

    found = [m.frame_id for m in likely_mistakes(frames, classes=2)]

    assert set(found[:2]) == {"sure", "swapped"}
    assert found[2:] == ["less"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (frame("x", [LEFT], [0, 1], [], [], []), r"frame 'x': boxes must be \(2, 4\)"),
        (frame("x", [LEFT], [7], [], [], []), "class id is outside 0..1"),
        (frame("x", [[0, 0, np.nan, 1]], [0], [], [], []), "not finite"),
        (frame("x", [], [], [LEFT], [0], [0.1, 0.2]), "predicted_scores"),
    ],
)
def test_frames_that_do_not_fit_are_named(bad, message):
    with pytest.raises(InvalidPoolError, match=message):
        likely_mistakes([bad], classes=2)


def test_a_curve_made_by_the_law_is_found_again():
    counts = [20, 40, 80, 160, 320]
    fitted = fit_curve([(n, 0.6 - 2.0 * n**-0.75) for n in counts])

    assert (fitted.ceiling, fitted.loss) == (pytest.approx(0.6), pytest.approx(2.0))
    assert fitted.exponent == pytest.approx(0.75)
    assert fitted.at(640) == pytest.approx(0.6 - 2.0 * 640**-0.75)


def test_advice_names_the_gain_of_the_next_batch():
    curve = [(n, 0.6 - 2.0 * n**-0.75) for n in (20, 40, 80)]
    gain = 100 * 2.0 * (80**-0.75 - 280**-0.75)

    text = advice(curve, batch=200, stop_gain=0.002)

    assert text.startswith(f"the next 200 labels: about {gain:+.1f} AP")
    assert "consider stopping" not in text
    assert "consider stopping" in advice(curve, batch=200, stop_gain=0.5)


def test_a_flat_curve_advises_to_stop_and_a_short_one_says_nothing():
    assert "consider stopping" in advice(
        [(20, 0.5), (40, 0.5), (60, 0.5)], batch=20, stop_gain=0.002
    )
    assert advice([(20, 0.3), (40, 0.4)], batch=20, stop_gain=0.002) == ""


@pytest.mark.parametrize("curve", [[(0, 0.1)], [(10, 1.4)], [(10, np.nan)]])
def test_a_curve_that_cannot_be_raises(curve):
    with pytest.raises(InvalidPoolError, match="curve"):
        fit_curve(curve)


def test_near_duplicates_share_a_group_along_a_chain():
    """A slow pan: each frame is near the next, so all are one group; a cut begins another."""
    pan = np.column_stack([np.linspace(0, 0.3, 10), np.zeros(10)])
    far = np.array([[8.0, 0.0], [8.0, 0.0], [-9.0, 3.0]])

    assert list(duplicate_groups(np.concatenate([pan, far]))) == [0] * 10 + [1, 1, 2]
    assert list(duplicate_groups(np.concatenate([pan, far]), near_duplicate=0)) == [
        *range(10),
        10,
        10,
        11,
    ]


def test_duplicate_groups_equal_the_plain_comparison():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, 4))
    rows = centres[rng.integers(0, 300, 2500)] + 0.01 * rng.normal(size=(2500, 4))
    typical = np.sqrt(2 * rows.var(axis=0).sum())
    plain = np.arange(2500)
    gaps = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2)) / typical
    for _ in range(60):  # labels spread to neighbours until nothing changes
        spread = np.where(gaps <= 0.05, plain[None], 2500).min(axis=1)
        if (spread == plain).all():
            break
        plain = spread

    found = duplicate_groups(rows)

    assert list(found) == list(np.unique(plain, return_inverse=True)[1])


def test_need_by_hand():
    """(mean + 1) / (count + 1) of counts 8 and 0, mean 4: 5/9 and 5; at 0.5 the roots of those."""
    counts = ProjectState(class_counts=np.array([8.0, 0.0]))
    raw = np.array([5 / 9, 5.0])

    assert class_need(counts) == pytest.approx(raw / raw.mean())
    roots = np.sqrt(raw)
    assert class_need(counts, strength=0.5) == pytest.approx(roots / roots.mean())
    assert class_need(ProjectState(class_counts=np.array([8.0, 0.0])), strength=0) is None
    assert class_need(ProjectState()) is None


def test_no_class_is_needed_more_than_ten_times_the_average():
    """Of counts 10^6 and 0 the second is needed twice, the first not at all: 1/10 is kept."""
    found = class_need(ProjectState(class_counts=np.array([1e6, 0.0])))

    assert found == pytest.approx(np.array([0.1, 2.0]) / 1.05, rel=1e-3)


def test_need_is_the_slope_of_the_learning_curve():
    """AP_c = 1 - n_c ** -0.5: one label more of each class gains in proportion to its need."""
    counts = np.array([120.0, 36.0, 64.0])
    ap = 1 - counts**-0.5
    gain = counts**-0.5 - (counts + 1) ** -0.5

    found = class_need(ProjectState(class_counts=counts, class_ap=ap))

    assert found == pytest.approx(gain / gain.mean(), rel=0.02)


def test_a_faint_second_guess_hardly_lifts_a_common_class():
    """By hand, squares as weights: (0.36 * 0.2 + 0.01 * 1.8) / 0.37, and an even doubt the mean."""
    objects = Objects(np.array([0, 3]), np.array([[0.6, 0.1], [0.4, 0.4], [0.0, 0.0]]))

    found = object_weights(objects, np.array([0.2, 1.8]))

    assert found == pytest.approx([0.09 / 0.37, 1.0, 1.0])


def test_an_unknown_ap_counts_as_the_mean():
    found = class_need(ProjectState(class_ap=np.array([0.8, 0.4, np.nan])))

    assert found == pytest.approx([0.5, 1.5, 1.0])


def test_a_replay_buys_what_is_chosen_and_never_twice():
    ids = [f"frame-{i}" for i in range(10)]
    seen = []

    def learn(labelled):
        return len(labelled), ProjectState(labelled=len(labelled)), {"ap": len(labelled) / 10}

    def observe(model, remaining):
        seen.append((model, remaining))
        return Pool(np.array(remaining))

    def select(pool, state, budget, number):
        return pool.ids[:budget]

    played = list(
        replay(ids, first=ids[8:], budgets=[3, 4], learn=learn, observe=observe, select=select)
    )

    assert [r.labelled for r in played] == [
        ("frame-8", "frame-9"),
        ("frame-8", "frame-9", *ids[:3]),
        ("frame-8", "frame-9", *ids[:7]),
    ]
    assert [r.figures["ap"] for r in played] == [0.2, 0.5, 0.9]
    assert seen == [(2, tuple(ids[:8])), (5, tuple(ids[3:8]))]


def test_a_replay_refuses_a_choice_outside_the_pool():
    def learn(labelled):
        return None, ProjectState(), {}

    rounds = replay(
        ["a", "b"],
        first=["a"],
        budgets=[1],
        learn=learn,
        observe=lambda model, remaining: Pool(np.array(remaining)),
        select=lambda pool, state, budget, number: np.array(["a"]),
    )

    with pytest.raises(InvalidPoolError, match="not in the pool"):
        list(rounds)


@pytest.mark.parametrize(("target", "expected"), [(0.2, 10), (0.4, 15), (0.5, 17.5), (0.65, None)])
def test_labels_to_reach_a_target(target, expected):
    curve = [(20, 0.6), (10, 0.2), (40, 0.6)]

    assert labels_to_reach(curve, target) == (None if expected is None else pytest.approx(expected))


def test_the_band_holds_the_mean():
    mean, low, high = band([[0.1, 0.5], [0.3, 0.5], [0.2, 0.5]])

    assert mean == pytest.approx((0.2, 0.5))
    assert low[0] < 0.2 < high[0]
    assert (low[1], high[1]) == (0.5, 0.5)
