"""How often the gate errs, on models drawn so that their true quality is known.

False pass: a challenger that is truly no better, or worse, is promoted. False refusal: one that
is truly better by 2 points of AP is kept out. The peer promotes whatever measures higher.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import numpy as np

from tests.bench.figures import Figure, write
from tests.trainer.drawn_models import draw_holdout, draw_model
from trainer.gate.promote import GateSettings, decide

FRAMES = (20, 50, 100, 200, 400)
TWO_POINTS = 0.06  # of skill; `points` below says what it truly is
CASES = {"equal": 0.0, "worse": -TWO_POINTS, "better": TWO_POINTS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw pairs of models, let the gate judge them, and count its errors."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gate", description=__doc__)
    parser.add_argument("--data", help="not read: the models are drawn")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=150)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    given = parser.parse_args(arguments)
    settings = GateSettings(resamples=given.resamples)
    worth = points()
    note = "the true gap of worse and better"
    write("training", [Figure("gate_points", 100 * worth, "AP points", note=note)])
    for frames, case in itertools.product(FRAMES, given.cases):
        ours, theirs = rates(frames, CASES[case], settings, given.trials)
        if case == "better":
            name, ours, theirs = f"gate_false_refusal/{frames}", 1 - ours, 1 - theirs
        else:
            name = f"gate_false_pass/{case}/{frames}"
        ratio = ours / theirs if theirs else None
        note = f"{given.trials} pairs, {frames} frames"
        # After each, since the whole takes a quarter of an hour.
        write("training", [Figure(name, ours, "share", "the higher AP wins", theirs, ratio, note)])


def rates(frames: int, skill: float, settings: GateSettings, trials: int) -> tuple[float, float]:
    """Return the share of challengers that the gate, and that the plain comparison, promotes."""
    passed = higher = 0
    for trial in range(trials):
        rng = np.random.default_rng([frames, trial])
        holdout = draw_holdout(rng, frames)
        champion = draw_model(rng, holdout, skill=0.0)
        challenger = draw_model(rng, holdout, skill=skill)
        decision = decide(champion, challenger, settings, rng=rng)
        passed += decision.promoted
        higher += decision.figures["gain"] > 0
    return passed / trials, higher / trials


def points() -> float:
    """Return the AP that TWO_POINTS of skill is worth, on many frames."""
    rng = np.random.default_rng(0)
    holdout = draw_holdout(rng, 1500)
    better, plain = (draw_model(rng, holdout, skill=s).ap for s in (TWO_POINTS, 0.0))
    if better is None or plain is None:
        raise ValueError("no object was drawn")
    return better - plain


if __name__ == "__main__":
    main()
