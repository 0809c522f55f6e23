"""The commands `trainer snapshot …`: show, export and rebuild a dataset."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.model_commands import Json
from trainer.data.dataset import load_dataset
from trainer.data.snapshot_forms import FORMS, export, rebuild
from trainer.runs.provenance import source_of

snapshots = typer.Typer(no_args_is_help=True, help="Datasets: show, export, rebuild.")


@snapshots.command("show")
def show_snapshot(snapshot: Path, *, json_: Json = False) -> None:
    """Print what a dataset contains and where it comes from."""
    dataset = load_dataset(snapshot)
    values = {
        "fingerprint": dataset.fingerprint,
        "labels": list(dataset.labels),
        "frames": dict(Counter(image.split for image in dataset.images)),
        "objects": dict(
            Counter(dataset.labels.names[o.class_id] for i in dataset.images for o in i.objects)
        ),
        "source": source_of(dataset),
        "warnings": list(dataset.warnings),
    }
    if json_:
        typer.echo(json.dumps(values))
        return
    for name, value in values.items():
        typer.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")


@snapshots.command("export")
def export_snapshot(
    snapshot: Path,
    out: Annotated[Path, typer.Option(help="A new folder.")],
    *,
    form: Annotated[str, typer.Option(help=f"One of {', '.join(FORMS)}.")] = "coco",
) -> None:
    """Export a dataset in the format of another tool."""
    typer.echo(f"{form}: {export(snapshot, out, form=form)}")


@snapshots.command("rebuild")
def rebuild_snapshot(
    snapshot: Annotated[Path, typer.Argument(help="Folder with manifest and annotations.")],
    images: Annotated[
        list[Path], typer.Option(help="Folder with original images; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder.")],
) -> None:
    """Rebuild a dataset from its manifest; images are found by content."""
    made = rebuild(snapshot, images, out)
    typer.echo(f"{made.path}: {len(made.images)} images, fingerprint {made.fingerprint}")
