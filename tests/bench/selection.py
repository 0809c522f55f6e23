"""Does choosing save labels, and what does choosing cost?

`python -m tests.bench.selection --data <folder in COCO form> --seeds 5` replays rounds against
known labels. Every arm of a seed begins with the same random frames and buys the same number a
round. Fits are as long as their labels ask for: see selecting/ways.py. They are the product's
default, or with --frozen its heads on ImageNet features that do not learn, which takes a tenth of
the time. Fits are kept under --cache, so a killed run goes on.
`--cold` tells instead what the first frames hold that are chosen before any model is trusted.
`--speed` times the selectors. All write tests/bench/results/selection.json.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from active_learning.choose import SelectionSettings, choose
from active_learning.pool import Pool, ProjectState, StrArray
from active_learning.simulate import ReplayedRound, replay
from tests.bench.figures import RESULTS, Figure, write
from tests.bench.selecting.cold import KINDS, cold_start
from tests.bench.selecting.curves import Curves, figures, picture
from tests.bench.selecting.learner import Learner, read_once
from tests.bench.selecting.speed import OURS, PEERS, measure, rival_seconds
from tests.bench.selecting.ways import Product, Steps, Way
from trainer.data.dataset import Dataset

# "loop" is what the bridge does by default, control arm and all; "entropy" is what a team writes
# first: the sum of the objects' entropies, best first, and nothing else.
PLAIN = SelectionSettings(control_share=0.0, near_duplicate=None, class_need=0.0)
ARMS = {
    "random": replace(PLAIN, strategy="random"),
    "entropy": replace(PLAIN, strategy="entropy_sum"),
    "loop": SelectionSettings(),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Replay on --data, time the selectors with --speed or without --data."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.selection")
    parser.add_argument("--data", type=Path, help="a folder in COCO form with a test part")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), help="of ARMS or STRATEGIES")
    parser.add_argument("--first", type=int, default=10, help="frames labelled at the start")
    parser.add_argument(
        *("--budgets", "--budget"),
        type=int,
        nargs="+",
        default=[10, 10, 20],
        help="frames bought, round by round",
    )
    parser.add_argument("--frozen", action="store_true", help="heads on features as they are")
    parser.add_argument("--cold", action="store_true", help="the cold start alone, over 10 seeds")
    parser.add_argument("--passes", type=float, default=40, help="over the labelled frames, a fit")
    parser.add_argument("--least", type=int, default=200, help="batches of 8 of a fit")
    parser.add_argument("--most", type=int, default=3000, help="batches of 8 of a fit")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HIGH", "WIDE"))
    parser.add_argument("--width", type=int, default=16, help="channels of the heads, --frozen")
    parser.add_argument("--minutes", type=float, help="begin no fit after so long")
    parser.add_argument("--cache", type=Path, default=Path("build/bench/selection"))
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e4, 1e5, 1e6])
    parser.add_argument("--selectors", nargs="+", default=list(OURS), choices=OURS)
    parser.add_argument("--choose", type=int, default=1000, help="budget of the speed runs")
    given = parser.parse_args(arguments)
    if given.data is not None and given.cold:
        write("selection", cold_start(read_once(given.data), seeds=10, features=given.cache))
    elif given.data is not None:
        _replay(given)
    if given.speed or given.data is None:
        _speed(given.selectors, [int(size) for size in given.sizes], given.choose)


def _replay(given: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    dataset = read_once(given.data)
    name = given.data.resolve().name
    way = _way(given)
    ids = [frame.file_name for frame in dataset.images if frame.split != "test"]
    arms: dict[str, dict[int, list[ReplayedRound]]] = {arm: {} for arm in given.arms}
    whole = []
    ends = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    for seed in range(given.seeds):
        if ends is not None and time.monotonic() >= ends:
            break
        order = np.random.default_rng(seed).permutation(len(ids))
        first = tuple(ids[row] for row in order[: given.first])
        blind = Learner(dataset, way, seed, given.cache / name, blind=True)
        for arm, finished in arms.items():
            learner = replace(blind, blind=arm == "random")
            rounds = _play(learner, ids, first, arm, seed, given, ends)
            if len(rounds) == len(given.budgets) + 1:
                finished[seed] = rounds
        if ends is None or time.monotonic() < ends:
            whole.append(blind.run(tuple(ids))[2]["ap"])
        _report(dataset, name, arms, whole, way.told)
    if ends is not None and time.monotonic() >= ends:
        print(f"the {given.minutes} minutes are over; run again to go on")


def _play(
    learner: Learner,
    ids: list[str],
    first: tuple[str, ...],
    arm: str,
    seed: int,
    given: argparse.Namespace,
    ends: float | None,
) -> list[ReplayedRound]:
    """Play one arm of one seed, or as much of it as the time allows."""
    settings = ARMS.get(arm, replace(PLAIN, strategy=arm))

    def select(pool: Pool, state: ProjectState, budget: int, number: int) -> StrArray:
        seeded = 1000 * seed + number
        return choose(pool, budget=budget, seed=seeded, state=state, settings=settings).ids

    played: list[ReplayedRound] = []
    rounds = replay(
        ids,
        first=first,
        budgets=given.budgets,
        learn=learner.learn,
        observe=learner.observe,
        select=select,
    )
    while ends is None or time.monotonic() < ends:
        done = next(rounds, None)
        if done is None:
            break
        played.append(done)
        print(
            f"{learner.dataset.path.name} seed {seed} {arm} round {done.number}: "
            f"{len(done.labelled)} frames, AP {done.figures['ap']:.3f}",
            flush=True,
        )
    return played


def _way(given: argparse.Namespace) -> Way:
    """Return how the fits are made."""
    steps = Steps(given.passes, given.least, given.most)
    size = None if given.size is None else (int(given.size[0]), int(given.size[1]))
    if not given.frozen:
        return Product(steps, size)
    from tests.bench.selecting.frozen import Frozen

    return Frozen(steps, size or (192, 256), given.width)


def _report(
    dataset: Dataset,
    name: str,
    arms: dict[str, dict[int, list[ReplayedRound]]],
    whole: list[float],
    told: str,
) -> None:
    """Write what the seeds that every arm has finished say so far."""
    common = set.intersection(*(set(seeds) for seeds in arms.values()))
    if not common or not whole or "random" not in arms:
        return
    counts = dict.fromkeys(dataset.labels, 0)
    for frame in dataset.images:
        for item in frame.objects:
            counts[dataset.labels.name_of(item.class_id)] += 1
    rare = min(counts, key=lambda label: counts[label]) if len(counts) > 1 else None
    finished = {arm: {seed: seeds[seed] for seed in common} for arm, seeds in arms.items()}
    curves = Curves(name, finished, whole, told)
    picture(curves, RESULTS / f"selection_{name}.png", rare=rare)
    found = figures(curves, rare=rare)
    write("selection", found, stale=lambda figure: _is_replayed(figure, name))


def _is_replayed(figure: str, name: str) -> bool:
    kind, *parts = figure.split("/")
    return name in parts and kind not in KINDS


def _speed(selectors: Sequence[str], sizes: list[int], budget: int) -> None:
    for selector in selectors:
        found: list[Figure] = []
        seconds = {}
        for size in sizes:
            ran = measure(selector, size, min(budget, size))
            seconds[size] = ran["seconds"]
            found.append(
                Figure(
                    f"peak_mb/{selector}/{size}",
                    ran["peak_mb"],
                    "MB",
                    note=f"of the process; {ran['before_mb']:.0f} MB hold the pool itself",
                )
            )
            found.append(Figure(f"seconds/{selector}/{size}", ran["seconds"], "s"))
            for rival in PEERS[selector]:
                answer = rival_seconds(rival, size, min(budget, size))
                if answer is None:
                    continue
                plain, note = answer
                found.append(
                    Figure(
                        f"speedup/{selector}/{size}"
                        + ("" if rival == PEERS[selector][0] else f"/{rival}"),
                        plain / ran["seconds"],
                        "times",
                        peer=rival,
                        peer_value=plain,
                        ratio=plain / ran["seconds"],
                        note=f"ours {ran['seconds']:.2f} s, budget {min(budget, size)}"
                        + (f"; {note}" if note else ""),
                    )
                )
        if len(sizes) > 1:
            low, high = sorted(sizes)[-2:]
            slope = np.log(seconds[high] / seconds[low]) / np.log(high / low)
            found.append(
                Figure(
                    f"growth_exponent/{selector}",
                    float(slope),
                    "",
                    note=f"from {low} to {high} frames",
                )
            )
        write("selection", found)


if __name__ == "__main__":
    main()
