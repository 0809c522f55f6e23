"""What replays may be said to show: figures against random, and when none is given."""

from __future__ import annotations

import pytest

from active_learning.simulate import ReplayedRound
from tests.bench.selecting.curves import Curves, figures, refusal
from tests.bench.selecting.ways import Steps


def rounds(*points: float, objects: float = 5.0) -> list[ReplayedRound]:
    """A replay that buys ten frames a round and comes out at these APs."""
    return [
        ReplayedRound(
            number,
            tuple(f"f{i}" for i in range(10 * (number + 1))),
            {"ap": ap, "objects": objects * (number + 1), "ap/rare": ap / 2},
        )
        for number, ap in enumerate(points)
    ]


RANDOM = {0: rounds(0.10, 0.20, 0.30), 1: rounds(0.12, 0.22, 0.32)}


def found(loop, whole):
    arms = {"random": RANDOM, "loop": loop}
    curves = Curves("set", arms, whole)
    return curves, {figure.name: figure for figure in figures(curves, rare="rare")}


def test_the_worst_budget_is_told_in_the_standard_errors_of_the_same_seeds():
    # Ahead by 4 and 2 points, then behind by 2 and 1: means 3 and -1.5, errors 1 and 0.5.
    loop = {0: rounds(0.10, 0.24, 0.28), 1: rounds(0.12, 0.24, 0.31)}
    _, by_name = found(loop, [0.34, 0.36])
    worst = by_name["worst_ap_gain_vs_random/set/loop"]

    assert (worst.value, worst.unit) == (pytest.approx(-3.0), "standard errors")
    assert "20: +3.0 ± 1.0; 30: -1.5 ± 0.5" in worst.note


def test_savings_are_told_in_frames_and_in_objects():
    # 90 % of 0.30 is 0.27: random's mean curve is there between 20 (0.21) and 30 (0.31) frames.
    loop = {0: rounds(0.10, 0.32, 0.33, objects=10), 1: rounds(0.12, 0.34, 0.35, objects=10)}
    _, by_name = found(loop, [0.29, 0.31])
    frames = by_name["frames_to_90_vs_random/set/loop"]
    objects = by_name["objects_to_90_vs_random/set/loop"]

    assert frames.peer_value == pytest.approx(26)
    assert frames.value == pytest.approx(10 + 10 * 0.16 / 0.22)
    assert objects.ratio == pytest.approx(2 * frames.ratio)  # twice the objects a frame


def test_no_ratio_is_given_where_all_labels_are_no_better_than_the_first_rounds():
    curves, by_name = found(RANDOM, [0.10, 0.13])
    figure = by_name["frames_to_95_vs_random/set/loop"]

    assert refusal(curves).startswith("refused: with all labels AP is +0.5")
    assert (figure.value, figure.ratio, figure.note) == (None, None, refusal(curves))
    assert by_name["objects_to_95/set/random"].value is None
    assert not refusal(found(RANDOM, [0.34, 0.36])[0])
    assert "one seed" in refusal(Curves("set", {"random": {0: RANDOM[0]}}, [0.9]))


@pytest.mark.parametrize(("frames", "batches"), [(1, 200), (40, 200), (100, 500), (900, 3000)])
def test_fits_are_as_long_as_their_labels_ask_for(frames, batches):
    assert Steps(passes=40, least=200, most=3000).of(frames) == batches
