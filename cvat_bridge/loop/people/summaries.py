"""What a round gave people and the project's interactor, in sentences for who runs the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cvat_bridge.ledger.records import Round
from cvat_bridge.loop.people.job_notes import in_minutes

_NAMED = 5  # jobs that a sentence names


def work_of(figures: Mapping[str, Any]) -> str:
    """Return which jobs a round made or ranked of what it chose; "" where it chose nothing."""
    chosen, jobs = figures.get("selected") or 0, _jobs(figures)
    if not chosen:
        return str(figures.get("reason") or "")
    if not jobs:
        return f"{chosen} frames chosen."
    names = ", ".join(str(job["id"]) for job in jobs[:_NAMED])
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    order = "the most valuable first" if len(jobs) > 1 else ""
    task = figures.get("task_id")
    held = sum(job["all_frames"] for job in jobs)
    where = (
        f"in {_count(jobs)} of task {task}"
        if task is not None
        else f"in {_count(jobs)} that existed already, with {held} frames together"
    )
    named = f"job {names}{more}" + (f" ({order})" if order else "")
    return f"{chosen} frames chosen, {where}: {named}."


def ranked_work(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Return the jobs of the newest round that has some, the most valuable first.

    Each with rank, id, task_id, frames (the chosen ones), all_frames, seconds that it should take,
    look_at and reason.
    """
    return next((found for row in reversed(rounds) if (found := _jobs(row.figures))), [])


def job_lines(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say each job in a line, as people meet them."""
    return [
        f"{job['rank']}. job {job['id']} of task {job['task_id']}: {job['all_frames']} frames, "
        f"{in_minutes(job['seconds'])}"
        for job in jobs
    ]


def interactor_of(answer: Mapping[str, Any] | None) -> str:
    """Return what a round did for the project's interactor; "" where none was learnt.

    answer: what MicroModel.to_json gave.
    """
    figures = (answer or {}).get("iou4") or {}
    ours, theirs = figures.get("challenger"), figures.get("champion")
    if answer is None or ours is None:
        return ""
    if answer["promoted"]:
        text = f"An interactor was learnt from this project's outlines and serves: IoU {ours:.3f}"
        return f"{text} after four clicks, {_iou(theirs)} for the one before."
    text = "An interactor was learnt from this project's outlines and does not serve"
    return f"{text}: IoU {ours:.3f} after four clicks, {_iou(theirs)} for the one that serves."


def newest_interactor(rounds: Sequence[Round]) -> str:
    """Return what the newest round that learnt an interactor made of it; "" where none did."""
    for row in reversed(rounds):
        text = interactor_of(row.figures.get("interactor"))
        if text:
            return f"Round {row.number}: {text}"
    return ""


def _jobs(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    notes = figures.get("job_notes") or {}
    rows = []
    for rank, job in enumerate(figures.get("jobs") or (), 1):
        note = notes.get(str(job["id"]), {})
        frames = note.get("frames", len(job["frames"]))
        rows.append(
            {
                "rank": rank,
                **job,
                "all_frames": frames,
                "seconds": note.get("seconds"),
                "look_at": note.get("look_at", ""),
            }
        )
    return rows


def _count(jobs: Sequence[object]) -> str:
    return f"{len(jobs)} job{'s' * (len(jobs) != 1)}"


def _iou(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
