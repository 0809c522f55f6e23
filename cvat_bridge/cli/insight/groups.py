"""`cvat-bridge groups`: named, versioned sets of frames, what was trained on them, exports."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvat_bridge.secrecy import err, out

if TYPE_CHECKING:
    from cvat_bridge.home import Home
    from cvat_bridge.ledger import Ledger

groups = typer.Typer(
    no_args_is_help=True, help="Named, versioned sets of frames: make, show, export."
)
ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
Name = Annotated[str, typer.Argument(help="Name of the group.")]
Version = Annotated[int | None, typer.Option(help="Its version; the newest unless given.")]
_DEFAULT = Path("cvat-bridge.yaml")


@groups.command(name="list")
def list_(config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Show every group with its versions."""
    with _records(config) as (_, ledger):
        rows = [
            {**asdict(row), "frames": len(row.frames), "images": sum(map(bool, row.images))}
            for row in ledger.people.groups()
        ]
    if as_json:
        out.print_json(json.dumps(rows))
        return
    for row in rows:
        text = f"{row['name']}, version {row['version']}: {row['frames']} frames, {row['about']}"
        out.print(text, markup=False, highlight=False)
    if not rows:
        out.print("no group yet: `cvat-bridge groups make NAME`", markup=False)


@groups.command()
def show(
    name: Name, config: ConfigPath = _DEFAULT, version: Version = None, as_json: AsJson = False
) -> None:
    """Show the frames of a group, and what was trained and judged on them."""
    from cvat_bridge.groups.making import find_group
    from cvat_bridge.groups.usage import usage_of

    with _records(config) as (home, ledger):
        row = find_group(ledger, name, version)
        used = usage_of(home, ledger, row)
    if as_json:
        out.print_json(json.dumps({**asdict(row), "usage": [asdict(one) for one in used]}))
        return
    out.print(f"{row.name}, version {row.version}: {row.about}", markup=False)
    for one in used:
        where = f" ({one.note})" if one.note else ""
        text = f"{one.how} on {one.frames} frames: model {one.model[:12]} of round {one.round}"
        out.print(text + where, markup=False, highlight=False)
    for key in row.frames:
        out.print(key, markup=False, highlight=False)


@groups.command()
def make(
    name: Name,
    config: ConfigPath = _DEFAULT,
    snapshot: Annotated[str, typer.Option(help="Fingerprint of the snapshot to hold.")] = "",
    holdout: Annotated[bool, typer.Option("--holdout", help="Hold what judges models.")] = False,
    frames: Annotated[
        list[str] | None, typer.Option("--frame", help="A frame to hold: <task>/<number>.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the next version of a group from a snapshot, the holdout, or frames."""
    from datetime import datetime, timezone

    from cvat_bridge.errors import ConfigError
    from cvat_bridge.groups.making import GroupRequest, make_group

    ways = [bool(snapshot), holdout, bool(frames)]
    if sum(ways) != 1:
        raise ConfigError(["exactly one of --snapshot, --holdout and --frame says what to hold"])
    kind: Any = "snapshot" if snapshot else "holdout" if holdout else "frames"
    request = GroupRequest(name, kind, snapshot=snapshot, frames=tuple(frames or ()))
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with _records(config) as (home, ledger):
        row = make_group(home, ledger, request, who=getpass.getuser(), now=now)
    if as_json:
        out.print_json(json.dumps(asdict(row)))
    else:
        text = f"{row.name}, version {row.version}: {len(row.frames)} frames"
        out.print(text, markup=False, highlight=False)


@groups.command()
def export(
    name: Name,
    config: ConfigPath = _DEFAULT,
    version: Version = None,
    form: Annotated[str, typer.Option("--format", help="coco or yolo.")] = "coco",
    as_json: AsJson = False,
) -> None:
    """Write the labelled frames of a group as a zip file of COCO or YOLO, and say where."""
    from cvat_bridge.assembly import open_view
    from cvat_bridge.cli.console import progress_bars, silence
    from cvat_bridge.config import load_secrets
    from cvat_bridge.groups.exporting import export_group
    from cvat_bridge.groups.making import find_group
    from cvat_bridge.projects import load_project

    loaded = load_project(config)
    with (
        silence() if as_json else progress_bars(err) as report,
        open_view(loaded, load_secrets(), report=report) as view,
    ):
        made = export_group(view.parts, find_group(view.parts.ledger, name, version), form)
    if as_json:
        out.print_json(json.dumps({**asdict(made), "file": str(made.file)}))
        return
    text = f"{made.file}: {made.frames} frames, {made.objects} objects"
    left = f"; {made.unlabelled} frames that nobody has finished are left out"
    out.print(text + (left if made.unlabelled else ""), markup=False, highlight=False)


@contextmanager
def _records(config: Path) -> Iterator[tuple[Home, Ledger]]:
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of
    from cvat_bridge.projects import load_project

    loaded = load_project(config)
    with ledger_of(loaded) as ledger:
        yield Home.of(loaded), ledger
