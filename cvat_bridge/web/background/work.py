"""What the queue of these screens does; each kind of work can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from cvat_bridge.groups.exporting import export_group
from cvat_bridge.groups.making import find_group
from cvat_bridge.loop.parts import Parts
from cvat_bridge.mistakes.listing import keep_list, look_for_mistakes, suspect_of
from cvat_bridge.mistakes.review import read_verdicts, send_to_review
from cvat_bridge.progress import Report
from cvat_bridge.web.background.work_queue import Work

Does = Callable[[Parts, Mapping[str, Any], str], Mapping[str, Any]]


def look(parts: Parts, _asked: Mapping[str, Any], _who: str) -> Mapping[str, Any]:
    """Let the serving model look for mistakes in the finished labels, and keep the list."""
    model, found = look_for_mistakes(parts, report=parts.report)
    made = keep_list(parts.home, model, found, now=parts.now())
    read_verdicts(parts.gateway, parts.ledger, parts.gather)
    return {"found": made.found, "judged": made.judged}


def review(parts: Parts, asked: Mapping[str, Any], who: str) -> Mapping[str, Any]:
    """Open issues for the suspects that a person chose."""
    rows = send_to_review(
        parts.gateway,
        parts.ledger,
        [suspect_of(one) for one in asked["suspects"]],
        who=who,
        now=parts.now(),
        report=parts.report,
    )
    jobs = sorted({(row.suspect["task_id"], row.job_id) for row in rows})
    return {"issues": [row.issue for row in rows], "jobs": [list(one) for one in jobs]}


def export(parts: Parts, asked: Mapping[str, Any], _who: str) -> Mapping[str, Any]:
    """Write an export of a version of a group."""
    group = find_group(parts.ledger, asked["name"], asked["version"])
    made = export_group(parts, group, asked["form"])
    return {**asdict(made), "file": made.file.name}


WORK: Mapping[str, Does] = {"look": look, "review": review, "export": export}


def work_of(parts: Callable[[], Parts]) -> Work:
    """Return what does the queue of a project. parts: what its loop stands on, at first use."""

    def work(kind: str, asked: Mapping[str, Any], who: str, report: Report) -> Mapping[str, Any]:
        return WORK[kind](replace(parts(), report=report), asked, who)

    return work
