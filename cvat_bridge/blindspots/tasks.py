"""Frames that a person asked for become a ranked, pre-annotated CVAT task.

It is made as a round's is: selection, task with its marker, provenance, ranked jobs, proposals,
assignees. All of that stands in the ledger under the wish's own number (see ledger.records.Request)
so that each step can be repeated.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from cvat_bridge.blindspots.types import CreatedTask, TaskPreview, TaskRequest
from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.home import Home
from cvat_bridge.ledger.records import Request, SelectedFrame, split_key
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.people.assignment import assign, check_assignees
from cvat_bridge.loop.prioritise import prioritise, ranked_jobs
from cvat_bridge.loop.proposals.preannotate import PreAnnotated
from cvat_bridge.loop.queueing import fill_jobs
from cvat_bridge.loop.ranking import cut
from cvat_bridge.loop.trust.current import trust_now
from cvat_bridge.project.facts import Facts

_STRATEGY = "asked for"


def plan_task(parts: Parts, request: TaskRequest) -> TaskPreview:
    """Return what create_task would do now; writes nothing. Raises what create_task raises."""
    _check(parts, request)
    found = parts.ledger.request(request.key)
    facts = parts.gather()
    rows = _rows(request, facts)
    taken = tuple(key for key in request.frames if key not in {row.key for row in rows})
    jobs = len(cut(rows, request.job_size))
    why_not = _why_not_filled(parts, request)
    people = tuple(map(str, request.assignees))
    told = [f"CVAT gets a task {request.name!r} with {len(rows)} frames in {jobs} jobs."]
    told.append(
        "The model's boxes are put in for people to correct." if not why_not else f"{why_not}."
    )
    told.append(f"The jobs go to {', '.join(people)} in turn." if people else "Nobody is assigned.")
    if taken:
        told.append(f"{len(taken)} of the frames are left out: people have them already.")
    if found is not None and found.done:
        told = [f"This task was made already: {_address(parts, found.task_id)}."]
    return TaskPreview(len(rows), taken, jobs, people, not why_not, tuple(told))


def create_task(parts: Parts, request: TaskRequest) -> CreatedTask:
    """Make the task with its jobs, pre-annotations and assignees, and record who asked for it.

    The same request.key again finds what it made, also after a kill half-way; what was asked for
    first counts. Raises NothingToDoError when people have taken every frame, ConfigError for a wish
    that cannot be met (an assignee that CVAT does not show), GatewayError, NotReadyError,
    LedgerError.
    """
    _check(parts, request)
    with _one_at_a_time(parts.home):
        wish = parts.ledger.open_request(
            Request(
                key=request.key,
                number=0,
                who=request.who,
                name=request.name,
                source=request.where,
                model=request.model,
                asked=parts.now(),
                request={**asdict(request), "controls": sorted(request.controls)},
            )
        )
        if wish.done:
            return _as_made(parts, wish.task_id, wish.outcome, again=True)
        return _made(parts, wish, _of_ledger(wish.request))


def _made(parts: Parts, wish: Request, asked: TaskRequest) -> CreatedTask:
    facts, number = parts.gather(), wish.round
    rows = parts.ledger.selection(number)
    if not rows:
        rows = _rows(asked, facts)
        if not rows:
            raise NothingToDoError(
                f"people have all {len(asked.frames)} frames of {asked.name!r} already; look for "
                "similar frames again"
            )
        about = {"strategy": _STRATEGY, "name": asked.name, "who": asked.who, "why": asked.where}
        parts.ledger.set_selection(number, rows, about=about)
    settings = replace(
        parts.settings,
        mode="new_task",
        job_size=asked.job_size,
        assignees=asked.assignees,
    )
    made = prioritise(
        parts.gateway,
        parts.ledger,
        facts,
        number=number,
        home=parts.home,
        settings=settings,
        report=parts.report,
    )
    parts.ledger.save_request(replace(wish, task_id=made.task_id))
    jobs = ranked_jobs(parts.gateway, parts.ledger, number=number)
    why_not = _why_not_filled(parts, asked)
    done = PreAnnotated({}, {})
    if not why_not:
        withheld = _withheld(parts, asked.model)
        done, _, _ = fill_jobs(parts, jobs, number=number, model=asked.model, withheld=withheld)
    given = assign(parts.gateway, jobs, settings=settings)
    notes = [f"job {job} was left as it is: {why}" for job, why in done.skipped.items()]
    if why_not and asked.prelabel:
        notes.append(why_not)
    if len(rows) < len(asked.frames):
        notes.append(f"{len(asked.frames) - len(rows)} frames were left out: people had them")
    outcome = {
        "jobs": [job.job_id for job in jobs],
        "frames": sum(len(job.frames) for job in jobs),
        "proposed": done.proposed,
        "assigned": {str(job): name for job, name in given.items()},
        "notes": notes,
    }
    parts.ledger.save_request(
        replace(wish, task_id=made.task_id, done=parts.now(), outcome=outcome)
    )
    return _as_made(parts, made.task_id, outcome, again=False)


def _as_made(
    parts: Parts, task_id: int | None, outcome: Mapping[str, Any], *, again: bool
) -> CreatedTask:
    return CreatedTask(
        task_id=task_id or 0,
        address=_address(parts, task_id),
        jobs=tuple(outcome["jobs"]),
        frames=int(outcome["frames"]),
        proposed=dict(outcome["proposed"]),
        assigned={int(job): name for job, name in outcome["assigned"].items()},
        again=again,
        notes=tuple(outcome["notes"]),
    )


def _rows(asked: TaskRequest, facts: Facts) -> tuple[SelectedFrame, ...]:
    """Rank the frames that are still free, in the order asked for."""
    free = {frame.key for frame in facts.pool}
    keys = [key for key in dict.fromkeys(asked.frames) if key in free]
    drawn = sum(key in asked.controls for key in keys)
    weight = len(free) / drawn if drawn else None
    rows = []
    for rank, key in enumerate(keys, 1):
        control = key in asked.controls
        reason = "drawn at random, for comparison" if control else f"asked for by {asked.who}"
        arm = "control" if control else "strategy"
        rows.append(
            SelectedFrame(rank, *split_key(key), None, arm, reason, weight if control else None)
        )
    return tuple(rows)


def _check(parts: Parts, request: TaskRequest) -> None:
    faults = []
    if not request.key or not request.name.strip():
        faults.append("name: give the task a name")
    if not request.frames:
        faults.append("frames: choose at least one frame")
    if request.job_size < 1:
        faults.append(f"job_size: at least 1 frame makes a job, found {request.job_size}")
    if faults:
        raise ConfigError(faults)
    check_assignees(
        parts.gateway,
        settings=replace(parts.settings, assignees=request.assignees),
        organization=parts.config.cvat.organization,
        project_id=parts.config.project_id,
    )


def _why_not_filled(parts: Parts, request: TaskRequest) -> str:
    """Return why the model's boxes are not put in, "" where they are."""
    if not request.prelabel:
        return "No boxes are put in, as asked for"
    if not parts.config.pre_annotation.enabled:
        return "No boxes are put in: pre_annotation.enabled is false in the configuration"
    champion = parts.registry.champion(parts.key)
    if champion is None or champion.bundle != request.model:
        return f"No boxes are put in: model {request.model[:12]} does not serve"
    return ""


def _withheld(parts: Parts, model: str) -> Mapping[str, str]:
    return trust_now(parts.ledger, parts.registry, parts.key, parts.config, model).withheld


def _of_ledger(values: Mapping[str, Any]) -> TaskRequest:
    def several(name: str) -> Sequence[Any]:
        return tuple(values[name])

    return TaskRequest(
        **{
            **values,
            "frames": several("frames"),
            "assignees": several("assignees"),
            "controls": frozenset(values["controls"]),
        }
    )


def _address(parts: Parts, task_id: int | None) -> str:
    return f"{str(parts.config.cvat.url).rstrip('/')}/tasks/{task_id}"


@contextmanager
def _one_at_a_time(home: Home) -> Iterator[None]:
    """Let one wish at a time be met in a home, whoever asks: a second press waits and finds it."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "wishes.lock").open("a", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
