"""The commands `trainer evaluate` and `trainer compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trainer.bundles.bundle import read_bundle
from trainer.cli.console import evaluation_table, progress_bars
from trainer.cli.model_commands import Json
from trainer.gate.gate_settings import GateSettings
from trainer.terminal import PlainConsole

if TYPE_CHECKING:
    from trainer.evaluation.compare import ComparedModel

Data = Annotated[Path, typer.Option(help="Folder in COCO format: annotations.json and images/.")]


def add_compare_commands(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    for command in (evaluate, compare):
        app.command()(command)


def evaluate(bundle: Path, data: Data, *, split: str = "test", json_: Json = False) -> None:
    """Evaluate a bundle on a split of a dataset: by class, by size, calibration and leakage."""
    from trainer.calibration import calibration
    from trainer.calibration.learn import unmapped
    from trainer.calibration.score_map import maps_of_bundle
    from trainer.data.dataset import load_dataset
    from trainer.data.leakage import find_leaks
    from trainer.evaluation.compare import evaluate_model, task_of
    from trainer.runs.run import figures_of

    found, dataset = read_bundle(bundle), load_dataset(data)
    with progress_bars() as report:
        side = evaluate_model(found, dataset, split=split, task=task_of([found]), report=report)
    leakage, scores = find_leaks(dataset, split=split), calibration(side.evaluation)
    maps = maps_of_bundle(found)
    before = None if maps is None else calibration(unmapped(side.evaluation, maps))
    if json_:
        figures = figures_of(side.evaluation) | {
            "size_ap": side.to_json()["size_ap"],
            "unknown_classes": list(side.unknown),
            "calibration": scores.to_json(),
            "uncalibrated": None if before is None else before.to_json(),
            "leakage": leakage.to_json(),
        }
        typer.echo(json.dumps(figures))
        return
    console = PlainConsole()
    title = f"{bundle} on {len(side.evaluation.frames)} {split} frames"
    console.print(evaluation_table(side.evaluation, title))
    sizes = {n: "-" if e.ap is None else f"{e.ap:.3f}" for n, e in side.sizes.items()}
    console.print("AP by size: " + ", ".join(f"{n} {v}" for n, v in sizes.items()))
    console.print(f"Calibration error: {scores.note}")
    network = "it has no calibration" if before is None else f"before calibration {before.note}"
    console.print(network, highlight=False)
    unknown = [f"the model does not know class {name}" for name in side.unknown]
    for note in (*side.evaluation.notes, *unknown, *leakage.notes):
        console.print(note, highlight=False)


def compare(
    champion: Path,
    challenger: Path,
    data: Data,
    *,
    split: str = "test",
    min_gain: float = GateSettings.min_gain,
    confidence: float = GateSettings.confidence,
    max_class_drop: float = GateSettings.max_class_drop,
    min_class_objects: int = GateSettings.min_class_objects,
    metric: Annotated[str, typer.Option(help="ap or ap50.")] = GateSettings.metric,
    seed: int = 7,
    sheet: Annotated[
        Path | None, typer.Option(help="PNG to write: frames on which the two differ most.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Number of these frames.", min=1, max=50)] = 8,
    json_: Json = False,
) -> None:
    """Compare two bundles on the same frames, as the promotion gate does.

    Pass a project's own limits, `promotion` in its configuration, as options.
    """
    from trainer.data.dataset import load_dataset
    from trainer.evaluation.sheet import write_sheet
    from trainer.gate.side_by_side import side_by_side

    settings = GateSettings(
        metric=metric,
        min_gain=min_gain,
        max_class_drop=max_class_drop,
        min_class_objects=min_class_objects,
        confidence=confidence,
    )
    dataset = load_dataset(data)
    with progress_bars() as report:
        found = side_by_side(
            read_bundle(champion),
            read_bundle(challenger),
            dataset,
            split=split,
            settings=settings,
            seed=seed,
            report=report,
        )
    first, second, decision, apart = found.first, found.second, found.decision, found.apart[:frames]
    if sheet is not None:
        write_sheet(sheet, dataset, split, first, second, apart)
    if json_:
        values = found.to_json(frames) | {"sheet": None if sheet is None else str(sheet)}
        typer.echo(json.dumps(values, default=str))
        return
    console = PlainConsole()
    console.print(_comparison(first, second))
    console.print("Frames on which they differ most (F1 of the detections people see, A and B):")
    for row in apart:
        console.print(f"  {row.file_name}  {row.first:.2f}  {row.second:.2f}", highlight=False)
    for reason in decision.reasons:
        console.print(reason, highlight=False)
    if sheet is not None:
        console.print(f"pictures: {sheet}", highlight=False)


def _comparison(first: ComparedModel, second: ComparedModel) -> Table:
    """Return a table of the AP of two models: overall, by class, by size."""
    table = Table("", "objects", "A", "B", "B - A", title=f"AP: A {first.path}, B {second.path}")
    ours, theirs = first.evaluation, second.evaluation

    def row(name: str, objects: int, a: float | None, b: float | None) -> None:
        gain = "-" if a is None or b is None else f"{b - a:+.3f}"
        table.add_row(name, str(objects), *("-" if v is None else f"{v:.3f}" for v in (a, b)), gain)

    row("all", sum(ours.objects.values()), ours.ap, theirs.ap)
    for name, count in ours.objects.items():
        row(name, count, ours.overall.class_ap[name], theirs.overall.class_ap[name])
    if ours.miou is not None or theirs.miou is not None:
        row("mIoU of pixels", sum(ours.objects.values()), ours.miou, theirs.miou)
    table.add_section()
    for name, of_size in first.sizes.items():
        row(name, sum(of_size.objects.values()), of_size.ap, second.sizes[name].ap)
    return table
