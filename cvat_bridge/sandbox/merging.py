"""A task's annotations: those of its annotation jobs, with what overlaps merged."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox import annotations
from cvat_bridge.sandbox.annotations import LabelBook, Objects
from cvat_bridge.sandbox.shapes import KINDS
from cvat_bridge.sandbox.state import Db, Row


def task_jobs(db: Db, task: Row) -> list[Row]:
    """Give the jobs that make up a task's annotations: no replicas, no ground truth."""
    return db.all(
        "SELECT * FROM job WHERE task_id = ? AND type = 'annotation' ORDER BY id", task["id"]
    )


def _within(kind: str, item: Row, job: Row) -> bool:
    first, last = job["start_frame"], job["stop_frame"]
    if kind == "tracks":
        frames = [shape["frame"] for shape in item["shapes"]]
        return min(frames) <= last and (
            max(frames) >= first or not item["shapes"][-1].get("outside")
        )
    return bool(first <= item["frame"] <= last)


def part_of(given: Objects, job: Row) -> Objects:
    """Give the objects that lie in a job's frames; the rest is dropped, as CVAT does."""
    return {
        kind: [item for item in given.get(kind, ()) if _within(kind, item, job)] for kind in KINDS
    }


def _key(item: Row) -> tuple[Any, ...]:
    points = tuple(round(value, 2) for value in item.get("points", ()))
    return item["frame"], item["label_id"], item.get("type"), points, item.get("group")


def read_task(db: Db, task: Row) -> Objects:
    """Give a task's annotations; the copy of an earlier job stands for those in an overlap."""
    book = LabelBook.of(db, task)
    merged: Objects = {kind: [] for kind in KINDS}
    seen_until = -1
    for job in task_jobs(db, task):
        own = annotations.read(db, job["id"], book)
        for kind in ("tags", "shapes"):
            known = {_key(item) for item in merged[kind] if item["frame"] >= job["start_frame"]}
            merged[kind] += [
                item for item in own[kind] if item["frame"] > seen_until or _key(item) not in known
            ]
        merged["tracks"] += own["tracks"]
        seen_until = max(seen_until, job["stop_frame"])
    return merged
