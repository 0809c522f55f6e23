"""What `trainer fit` costs over the library it stands on, and what a stop and a resume change.

fit_overhead: `trainer fit` with yolo (lay out, learn, look, export) against ultralytics' own
command line (train, export) with the same settings on the same images, one after the other in
turns. resume_difference: AP on val of a fit that was stopped half-way and gone on with against
one left alone, and of one that was killed. yolo learns from scratch, so it is shown drawn images
that it masters within minutes: where AP is near zero, equal figures would prove nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev

from tests.bench.figures import Figure, write
from tests.bench.trainings.commands import Used, ours, ultralytics
from tests.bench.trainings.images import SIDE, drawn, some_of
from tests.bench.trainings.resuming import BACKENDS, resumed
from trainer.detector import FitConfig

AREA = "training"


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/raccoon_det"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--images", type=int, default=96, help="to learn from; val: a third more")
    parser.add_argument("--what", choices=("all", "overhead", "resume"), default="all")
    parser.add_argument("--backend", choices=tuple(BACKENDS), action="append", help="to resume")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        plain = drawn(Path(scratch) / "plain", train=given.images)
        if given.what != "resume":
            overhead(plain, Path(scratch), seeds=given.seeds, epochs=given.epochs)
        if given.what != "overhead":
            photos = some_of(given.data, Path(scratch) / "photos", train=given.images // 2)
            for name in given.backend or BACKENDS:
                data = plain if name == "yolo" else photos
                resuming(name, data, Path(scratch), seeds=given.seeds)


def overhead(data: Path, scratch: Path, *, seeds: int, epochs: int) -> None:
    """Measure both programs in turns, each seed once."""
    mine: list[Used] = []
    theirs: list[Used] = []
    for seed in range(1, seeds + 1):
        config = FitConfig("yolo", epochs=epochs, batch_size=8, image_size=(SIDE, SIDE), seed=seed)
        folder = scratch / f"seed{seed}"
        # Who goes first changes: a cache of the system is warm for the second.
        if seed % 2:
            mine.append(ours(data, config, folder / "ours"))
            theirs.append(ultralytics(data, config, folder / "theirs"))
        else:
            theirs.append(ultralytics(data, config, folder / "theirs"))
            mine.append(ours(data, config, folder / "ours"))
        print(json.dumps({"seed": seed, "ours": vars(mine[-1]), "theirs": vars(theirs[-1])}))
        shutil.rmtree(folder)
    peer = "ultralytics train + export"
    note = f"{seeds} seeds, {epochs} epochs at {SIDE} pixels, yolo11n from scratch, drawn images"
    write(
        AREA,
        [
            _figure("fit_overhead", "s", peer, mine, theirs, "wall", note),
            _figure("fit_overhead_processor", "s", peer, mine, theirs, "processor", note),
            _figure("fit_overhead_memory", "MiB", peer, mine, theirs, "memory", note),
            _figure("fit_overhead_ap", "AP", peer, mine, theirs, "ap", note),
        ],
    )


def resuming(name: str, data: Path, scratch: Path, *, seeds: int) -> None:
    """Measure by how much AP on val differs after a stop, or a kill, and a resume."""
    found = [resumed(name, data, scratch / f"{name}{seed}", seed) for seed in range(1, seeds + 1)]
    alone = [one.alone for one in found]
    spread = stdev(alone) if len(alone) > 1 else 0.0
    figures = []
    for how in ("stopped", "killed"):
        gaps = [abs(getattr(one, how) - one.alone) for one in found]
        note = (
            f"mean of |AP - AP left alone|, {seeds} seeds; AP left alone "
            f"{', '.join(f'{ap:.4f}' for ap in alone)}; peer: its spread over the seeds"
        )
        if name == "centernet" and how == "stopped":
            note += f"; largest difference of a weight {max(one.weights for one in found):.2g}"
        figures.append(
            Figure(
                f"resume_difference/{name}/{how}",
                mean(gaps),
                "AP",
                "deviation over seeds",
                spread,
                mean(gaps) / spread if spread else None,
                note,
            )
        )
    write(AREA, figures)


def _figure(
    name: str, unit: str, peer: str, mine: list[Used], theirs: list[Used], of: str, note: str
) -> Figure:
    # A machine that does other things too is slow now and then: the median bears one such run.
    middle = mean if of == "ap" else median
    value, other = (middle(getattr(one, of) for one in used) for used in (mine, theirs))
    ratios = ", ".join(
        f"{getattr(a, of) / getattr(b, of):.3f}" for a, b in zip(mine, theirs, strict=True)
    )
    note += f"; {'mean' if of == 'ap' else 'median'} of the seeds, whose ratios are {ratios}"
    if of == "ap":
        spread = stdev(one.ap for one in theirs) if len(theirs) > 1 else 0.0
        note += f"; deviation of the peer over seeds {spread:.4f}"
    return Figure(name, value, unit, peer, other, value / other if other else None, note)


if __name__ == "__main__":
    main(sys.argv[1:])
