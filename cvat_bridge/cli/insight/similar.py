"""`cvat-bridge similar`: frames like those that a model fails on, and a task of them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cvat_bridge.cli.insight.blindspots import (
    ConfigPath,
    ModelVersion,
    SourceName,
    Threshold,
    asked_for,
)
from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import err, out

if TYPE_CHECKING:
    from cvat_bridge.blindspots.types import Similar
    from cvat_bridge.config import Config


def similar(
    where: Annotated[
        str, typer.Argument(metavar="SLICE", help="A slice's key, as `blindspots` prints it.")
    ] = "",
    config: ConfigPath = Path("cvat-bridge.yaml"),
    model: ModelVersion = None,
    source: SourceName = None,
    threshold: Threshold = None,
    count: Annotated[int, typer.Option(min=1, help="Frames to find.")] = 50,
    create: Annotated[
        str | None, typer.Option(help="Make a CVAT task of this name with these frames.")
    ] = None,
    assignee: Annotated[
        list[str] | None, typer.Option(help="Whom the jobs go to, in turn; may be repeated.")
    ] = None,
    job_size: Annotated[
        int | None, typer.Option(min=1, help="Frames of a job; as in the rounds unless given.")
    ] = None,
    prelabel: Annotated[
        bool, typer.Option(help="Put the model's boxes in, for people to correct.")
    ] = True,
    key: Annotated[
        str | None, typer.Option(help="Names this wish: the same key again makes no second task.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Find frames of the pool like those that a model fails on, and send them to people.

    Near-duplicates are left out, and a tenth of the frames is drawn at random, for comparison.
    """
    from cvat_bridge.assembly import open_view
    from cvat_bridge.blindspots.tasks import create_task, plan_task
    from cvat_bridge.blindspots.types import TaskRequest, to_json
    from cvat_bridge.cli.console import progress_bars, silence
    from cvat_bridge.config import load_secrets
    from cvat_bridge.projects import load_project

    loaded = load_project(config)
    found = _found(loaded, where, model, source, threshold, count)
    if create is None:
        out.print_json(json.dumps(to_json(found))) if as_json else _show(found)
        return
    with (
        silence() if as_json else progress_bars(err) as report,
        open_view(loaded, load_secrets(), report=report) as view,
    ):
        request = TaskRequest(
            key=key or uuid.uuid4().hex,
            name=create,
            frames=tuple(frame.key for frame in found.frames),
            who=view.parts.gateway.identity().user.username,
            where=found.words,
            model=found.model,
            controls=frozenset(frame.key for frame in found.frames if frame.arm == "control"),
            job_size=job_size or loaded.rounds.job_size,
            assignees=tuple(assignee or ()),
            prelabel=prelabel,
        )
        if dry_run:
            plan = plan_task(view.parts, request)
            text = "\n".join(plan.sentences)
            out.print_json(json.dumps(to_json(plan))) if as_json else out.print(text, markup=False)
            return
        made = create_task(view.parts, request)
    if as_json:
        out.print_json(json.dumps({"similar": to_json(found), "task": to_json(made)}))
        return
    what = "was there already" if made.again else f"{made.frames} frames, {len(made.jobs)} jobs"
    out.print(f"{made.address} ({what})", markup=False, highlight=False)
    for note in made.notes:
        err.print(note, markup=False, highlight=False)


def _found(
    config: Config,
    where: str,
    model: str | None,
    source: str | None,
    threshold: float | None,
    count: int,
) -> Similar:
    from cvat_bridge.assembly import round_settings
    from cvat_bridge.blindspots.similar import find_similar
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of

    home = Home.of(config)
    with ledger_of(config) as ledger:
        version, kind = asked_for(config, home, ledger, model, source)
        try:
            return find_similar(
                home,
                ledger,
                round_settings(config),
                model=version,
                source=kind,
                where=where,
                threshold=threshold,
                count=count,
            )
        except ValueError as error:
            raise ConfigError([f"SLICE: {error}"]) from error


def _show(found: Similar) -> None:
    table = Table("rank", "task", "frame", "likeness", "expected objects", "reason", box=None)
    for row in found.frames:
        table.add_row(
            str(row.rank),
            str(row.task_id),
            str(row.frame),
            f"{row.likeness:.2f}",
            f"{row.expected:.1f}",
            escape(row.reason),
        )
    out.print(table)
    err.print(
        f"{len(found.frames)} of {found.looked_at} frames of the pool, {found.vetoed} passed over "
        f"as near-duplicates; about {found.expected_objects:.0f} objects and "
        f"{found.expected_minutes:.0f} minutes of work. --create NAME makes a task of them.",
        markup=False,
        highlight=False,
    )
    for note in found.notes:
        err.print(note, markup=False, highlight=False)
