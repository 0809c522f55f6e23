"""What the default detector learns from few labelled frames, by its default settings.

For each set and number of frames: AP50 on the set's test part, beside the learner from scratch of
before (144x192, no learnt features) in the same time. Fits are kept in --work and gone on with,
so that the bench can be stopped at any moment.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figures import Figure, write
from tests.bench.learning.masks_from_boxes import masks_from_boxes
from tests.bench.learning.pre_annotation import pre_annotation_seconds
from tests.bench.learning.sets import SETS, SIZES, labelled, load_set
from trainer.bundles.bundle import Bundle
from trainer.calibration import calibration
from trainer.data.dataset import Dataset, load_dataset
from trainer.detector import FitConfig
from trainer.gate.gate_settings import GateSettings
from trainer.gate.usefulness import usefulness
from trainer.runs.fit_settings import fit_config
from trainer.runs.run import run_fit
from trainer.scores import Evaluation

SHARED = Path(__file__).parents[3] / "shared" / "data"
SLACK = 0.01  # AP50; two fits nearer than this are as good


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, evaluate and write learner.json, after each set."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.learner", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of sets in COCO form")
    parser.add_argument("--work", type=Path, default=Path("runs/learner"))
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, help="of learning a fit; the default's own if unset"
    )
    parser.add_argument("--test", type=int, default=100, help="frames of the test part at most")
    parser.add_argument("--objects", type=int, default=150, help="of masks made from boxes")
    parser.add_argument("--peers", nargs="*", type=int, default=SIZES, help="sizes with the peer")
    given = parser.parse_args(arguments)
    for name in given.sets:
        write("learner", measure_set(name, given))


def measure_set(name: str, given: argparse.Namespace) -> list[Figure]:
    """Return the figures of one set."""
    dataset = load_set(given.data, name)
    sizes = [n for n in given.sizes if n <= len(dataset.split("train"))]
    rows: dict[int, list[dict[str, Any]]] = {}
    peers: dict[int, list[dict[str, Any]]] = {}
    for frames in sizes:
        for seed in range(1, given.seeds + 1):
            folder = given.work / name / f"{frames}-{seed}"
            data = folder / "data"
            if not (data / "manifest.json").exists():
                shutil.rmtree(data, ignore_errors=True)
                labelled(dataset, data, frames=frames, seed=seed, test=given.test)
            settings = {"seed": seed}
            if given.seconds:
                settings |= {"time_limit": given.seconds}
            ours = _fit(data, fit_config(settings), folder / "default")
            rows.setdefault(frames, []).append(ours)
            if frames in given.peers:
                peer = FitConfig(
                    "centernet",
                    seed=seed,
                    image_size=(144, 192),
                    time_limit=max(ours["seconds"], 20.0),
                    extra={"backbone": "none", "steps": 100_000},
                    val_share=0,
                )
                peers.setdefault(frames, []).append(_fit(data, peer, folder / "scratch"))
    found = [
        *(_learnt(name, frames, rows[frames], peers.get(frames)) for frames in sizes),
        _monotone(name, sizes, rows),
        *_usable_figures(name, sizes, rows),
    ]
    if not sizes:
        found = []
    if given.objects and (given.data / name / "annotations_polygons.json").exists():
        found.append(
            Figure(
                f"masks_from_boxes_iou/{name}",
                masks_from_boxes(given.data / name, given.objects),
                "mean IoU",
                note=f"{given.objects} objects of the test part at most, true boxes given",
            )
        )
    return found


def _fit(data: Path, config: FitConfig, out: Path) -> dict[str, Any]:
    """Fit and evaluate, or return what an earlier run of the bench measured."""
    kept = out.with_suffix(".json")
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    print(f"  {out}", flush=True)
    found_notes: list[str] = []
    done = run_fit(
        data,
        config,
        out,
        split="test",
        report=lambda p: found_notes.append(p.note) if p.stage == "note" else None,
    )
    if done.evaluation is None:
        raise ValueError(f"{data}: its test part has no object")
    state = done.evaluation
    figures = {
        "ap": state.ap or 0.0,
        "ap50": state.ap50 or 0.0,
        "seconds": done.seconds,
        "steps": done.bundle.card.extra.get("steps"),
        "input": list(done.bundle.card.input_size),
        "notes": found_notes,
    }
    if config.val_share:
        figures |= _usable(done.bundle, state, load_dataset(data))
    kept.write_text(json.dumps(figures, indent=1))
    shutil.rmtree(out / "fit", ignore_errors=True)
    return figures


def _usable(bundle: Bundle, found: Evaluation, dataset: Dataset) -> dict[str, Any]:
    """Return what a project would get of a model: would it serve, and are its scores true?

    The gate judges on a quarter as many frames of the test part as there are labelled ones, as a
    project has them in its holdout, but on ten at least.
    """
    frames = max(10, len(dataset.split("train")) // 4)
    judged = usefulness(
        replace(found, frames=found.frames[:frames]),
        settings=GateSettings(),
        rng=np.random.default_rng(1),
    )
    settings = GateSettings()
    serves = judged.whole.use(settings) == "useful" or bool(judged.useful_classes(settings))
    return {
        "serves": serves,
        "calibration_error": calibration(found).error,
        "seconds_ratio": pre_annotation_seconds(bundle, dataset, "test"),
    }


def _usable_figures(
    name: str, sizes: list[int], rows: dict[int, list[dict[str, Any]]]
) -> list[Figure]:
    figures = []
    passed = [n for n in sizes if all(row["serves"] for row in rows[n])]
    if passed:
        figures.append(
            Figure(
                f"gate_passed_at/{name}",
                passed[0],
                "labelled frames",
                note=f"the first of {sizes} at which a model serves in every seed",
            )
        )
    for key, title, unit in (
        ("calibration_error", "calibration_error", "expected calibration error, test part"),
        ("seconds_ratio", "pre_annotation_seconds", "seconds with over those without"),
    ):
        last = [row for n in sizes for row in rows[n] if row.get(key) is not None]
        if last:
            each = ", ".join(
                f"{_mean(rows[n], key):.3f} at {n}" for n in sizes if _known(rows[n], key)
            )
            figures.append(
                Figure(f"{title}/{name}", max(float(row[key]) for row in last), unit, note=each)
            )
    return figures


def _known(rows: list[dict[str, Any]], key: str) -> bool:
    return all(row.get(key) is not None for row in rows)


def _learnt(
    name: str, frames: int, rows: list[dict[str, Any]], peers: list[dict[str, Any]] | None
) -> Figure:
    ours = _mean(rows, "ap50")
    theirs = _mean(peers, "ap50") if peers else None
    return Figure(
        f"ap50/{name}/{frames}",
        ours,
        "AP50",
        "the learner from scratch of before, in the same time" if peers else None,
        theirs,
        ours / theirs if theirs else None,
        f"AP {_mean(rows, 'ap'):.3f}, input {rows[0]['input']}, {_mean(rows, 'steps'):.0f} steps, "
        f"{_mean(rows, 'seconds'):.0f} s with evaluation, {len(rows)} seeds",
    )


def _monotone(name: str, sizes: list[int], rows: dict[int, list[dict[str, Any]]]) -> Figure:
    means = [_mean(rows[n], "ap50") for n in sizes]
    worst = min((b - a for a, b in itertools.pairwise(means)), default=0.0)
    return Figure(
        f"ap50_more_labels_never_less/{name}",
        float(worst >= -SLACK),
        "1 where no larger number of labels gives less AP50",
        note=f"the least gain of a step is {worst:+.3f}, over {sizes}",
    )


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return sum(float(row[key]) for row in rows) / len(rows)


if __name__ == "__main__":
    main()
