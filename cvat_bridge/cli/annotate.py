"""`cvat-bridge annotate`: a model over whole tasks, its confidence kept.

Exit codes besides the program's own: 4 when all is done but some frames could not be annotated
(they are named), 130 and 143 when it was stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from cvat_bridge.annotate.messages import not_written
from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.progress import Report
from cvat_bridge.secrecy import err, out

if TYPE_CHECKING:
    from cvat_bridge.annotate.summary import AnnotationSummary


FRAMES_LEFT_OUT = 4
_BETWEEN_LINES = 2.0  # seconds


def annotate(
    model: Annotated[
        str,
        typer.Option(help="A bundle's folder, a function's id, or a registry name[@version]."),
    ],
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    task: Annotated[int | None, typer.Option(help="Id of the task.")] = None,
    project: Annotated[int | None, typer.Option(help="Id of the project: all its tasks.")] = None,
    job: Annotated[
        list[int] | None, typer.Option(help="Only this job, also a finished one; may be repeated.")
    ] = None,
    frames: Annotated[str, typer.Option(help="Frames of the task, such as 0-99,150.")] = "",
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="0 keeps all; else the model's own.")
    ] = None,
    only_empty: Annotated[
        bool, typer.Option("--only-empty", help="Leave frames alone that have any object.")
    ] = False,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="CLASS=LABEL of CVAT, CLASS= leaves one out; may be repeated."),
    ] = None,
    known_only: Annotated[
        bool, typer.Option("--known-only", help="Leave out classes that CVAT does not have.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Frames of one run of the network.")] = 2,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores for the network.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Let a model annotate a task or project; stop it at any time, the next call goes on.

    Objects come as automatic shapes with their score. What people drew is never touched. What
    stands there already is not doubled, whoever brought it, and what people deleted of this
    model's objects does not come back.
    """
    from cvat_bridge.annotate.inference import runner
    from cvat_bridge.annotate.labelling import parse_map
    from cvat_bridge.annotate.model import choose_model
    from cvat_bridge.annotate.plan import make_plan
    from cvat_bridge.annotate.request import AnnotationRequest, parse_frames
    from cvat_bridge.annotate.run import annotate as carry_out
    from cvat_bridge.config import load_secrets
    from cvat_bridge.cvat.connecting import connected
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of
    from cvat_bridge.masks.making import segmenter_of
    from cvat_bridge.models.registries import registry_of
    from cvat_bridge.models.serving import project_key
    from cvat_bridge.projects import load_project

    try:
        request = AnnotationRequest(
            task_id=task,
            project_id=project,
            job_ids=tuple(job or ()),
            frames=parse_frames(frames),
            min_score=min_score,
            only_empty=only_empty,
            mapped=parse_map(map_ or ()),
            known_only=known_only,
        )
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    loaded, secrets = load_project(config), load_secrets()
    home = Home.of(loaded)
    chosen = choose_model(
        model,
        store=loaded.function_host.store or home.functions,
        registry=lambda: registry_of(loaded, home),
        project_key=None if loaded.cvat.project is None else project_key(loaded.cvat.project),
    )
    with connected(loaded, secrets) as gateway, ledger_of(loaded) as ledger:
        plan = make_plan(gateway, ledger, chosen, request)
        if dry_run or not plan.total:
            _tell_plan(plan.total, sum(t.done for t in plan.tasks), plan.left_alone, as_json)
            if plan.total:
                return
            raise NothingToDoError("no frame is due")
        store = loaded.function_host.store or home.functions
        segmenter = cache(partial(segmenter_of, store, threads=1))
        ready = runner(chosen.bundle, batch=batch, cores=cores, segmenter=segmenter)
        with _stoppable() as (stop, caught), _progress(as_json) as report:
            ended = carry_out(
                gateway,
                ledger,
                plan,
                ready,
                locks=home.root / "annotating",
                report=report,
                stop=stop,
            )
    _tell(ended, as_json)
    if ended.stopped:
        raise typer.Exit(128 + (caught[0] if caught else signal.SIGINT))
    if ended.left_out:
        raise typer.Exit(FRAMES_LEFT_OUT)


@contextmanager
def _stoppable() -> Iterator[tuple[threading.Event, list[int]]]:
    """Turn the first Ctrl-C or SIGTERM into a polite stop; a second one ends at once."""
    stop, caught = threading.Event(), list[int]()

    def ask(number: int, _frame: FrameType | None) -> None:
        if caught:
            os._exit(128 + number)  # what was found last is lost, and found again the next time
        caught.append(number)
        stop.set()
        err.print("stopping: what is found is being written; once more ends at once", markup=False)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(as_json: bool) -> Iterator[Report]:
    """Draw a bar for people at a terminal; else say a line now and then, on stderr."""
    from cvat_bridge.cli.console import progress_bars

    if err.is_terminal and not as_json:
        with progress_bars(err) as report:
            yield report
        return
    begun, shown_at = time.monotonic(), 0.0

    def show(stage: str, done: int, total: int) -> None:
        nonlocal shown_at
        now = time.monotonic()
        if now - shown_at < _BETWEEN_LINES and 0 < done < total:
            return
        shown_at = now
        left = (now - begun) / done * (total - done) if done else None
        if as_json:
            line = {"event": stage, "done": done, "total": total, "seconds_left": left}
            print(json.dumps(line), file=sys.stderr, flush=True)
        else:
            rest = "" if left is None else f", about {left:.0f} s left"
            print(f"{stage}: {done} of {total} frames{rest}", file=sys.stderr, flush=True)

    yield show


def _tell_plan(total: int, done: int, left_alone: object, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps({"due": total, "done": done, "left_alone": left_alone}))
        return
    out.print(f"{total} frames are due, {done} are done already")
    _tell_left_alone(left_alone)


def _tell(ended: AnnotationSummary, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(ended.as_json()))
        return
    labels = ", ".join(f"{count} {name}" for name, count in ended.by_label.most_common())
    rate = ended.frames / ended.seconds if ended.seconds else 0.0
    out.print(
        f"{ended.objects} objects on {ended.frames} frames{f' ({labels})' if labels else ''}; "
        f"{ended.done} were done before, {ended.occupied} had objects; {rate:.1f} frames/s",
        markup=False,
        highlight=False,
    )
    for text in not_written(ended.unmatched, ended.unwritten):
        out.print(text, markup=False, highlight=False)
    if ended.doubled:
        each = ", ".join(f"{count} {name}" for name, count in ended.doubled.most_common())
        text = f"{ended.doubled.total()} objects not written: an object of their label stands there"
        out.print(f"{text} already ({each})", markup=False, highlight=False)
    for name, count in ended.maskless.items():
        text = f"class {name}: {count} boxes not written: nothing in them to make a mask of"
        out.print(text, markup=False, highlight=False)
    _tell_left_alone(ended.left_alone)
    for one in ended.left_out:
        text = f"left out: task {one.task_id}, frame {one.frame} ({one.name}): {one.problem}"
        err.print(text, markup=False, highlight=False, style="red")
    if ended.stopped:
        err.print("stopped; the same command goes on with the rest", markup=False)


def _tell_left_alone(left_alone: object) -> None:
    if isinstance(left_alone, dict):
        for number, reason in left_alone.items():
            out.print(f"job {number} is left alone: {reason}", markup=False, highlight=False)
