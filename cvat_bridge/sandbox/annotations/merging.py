"""A task's annotations: those of its annotation jobs, with what overlaps merged."""

from __future__ import annotations

from collections.abc import Sequence

from cvat_bridge.sandbox.annotations import annotation_store, tracks
from cvat_bridge.sandbox.annotations.annotation_store import Objects
from cvat_bridge.sandbox.annotations.shapes import KINDS
from cvat_bridge.sandbox.resources.label_book import LabelBook
from cvat_bridge.sandbox.store.state import Db, Row

_SAME = 0.5  # how much two jobs' shapes must overlap to be one


def task_jobs(db: Db, task: Row) -> list[Row]:
    """Return the jobs that make up a task's annotations: no replicas, no ground truth."""
    return db.all(
        "SELECT * FROM job WHERE task_id = ? AND type = 'annotation' ORDER BY id", task["id"]
    )


def part_of(given: Objects, job: Row) -> Objects:
    """Return the objects that lie in a job's frames; the rest is dropped, as CVAT does."""
    first, last = job["start_frame"], job["stop_frame"]
    part: Objects = {
        kind: [item for item in given.get(kind, ()) if first <= item["frame"] <= last]
        for kind in ("tags", "shapes")
    }
    cut = [tracks.cut(track, first, last) for track in given.get("tracks", ())]
    part["tracks"] = [track for track in cut if track is not None]
    return part


def _new(items: Sequence[Row], known: Sequence[Row], first: int) -> list[Row]:
    """Return the items that are not there already from an earlier job, each match used once."""
    left = [item for item in known if item["frame"] >= first]
    found = []
    for item in items:
        twin = next((one for one in left if _one(one, item)), None)
        if twin is None:
            found.append(item)
        else:
            left.remove(twin)
    return found


def _one(one: Row, other: Row) -> bool:
    if one["frame"] != other["frame"] or one["label_id"] != other["label_id"]:
        return False
    return "type" not in one or tracks.overlap(one, other) >= _SAME


def merged(parts: Sequence[tuple[Row, Objects]]) -> Objects:
    """Return what several jobs hold as one; the copy of an earlier job stands in an overlap."""
    whole: Objects = {kind: [] for kind in KINDS}
    size = max((job["stop_frame"] + 1 for job, _ in parts), default=0)
    until = -1
    for job, own in parts:
        for kind in ("tags", "shapes"):
            shared = [item for item in own[kind] if item["frame"] <= until]
            rest = [item for item in own[kind] if item["frame"] > until]
            whole[kind] += [*_new(shared, whole[kind], job["start_frame"]), *rest]
        for track in own["tracks"]:
            twin = _twin(whole["tracks"], track, job["start_frame"], until)
            if twin is None:
                whole["tracks"].append(track)
            else:
                whole["tracks"][twin] = tracks.joined(whole["tracks"][twin], track)
        until = max(until, job["stop_frame"])
    ends = {job["stop_frame"] for job, _ in parts}
    whole["tracks"] = [_ended(track, ends, size) for track in whole["tracks"]]
    return whole


def _twin(known: Sequence[Row], track: Row, first: int, until: int) -> int | None:
    if first > until:
        return None
    for index, one in enumerate(known):
        if tracks.same(one, track, first, until):
            return index
    return None


def _ended(track: Row, ends: set[int], size: int) -> Row:
    if not track["shapes"]:
        return track
    last = max(shape["frame"] for shape in track["shapes"])
    stop = min((end for end in ends if end >= last), default=last)
    return tracks.closed(track, stop, size)


def read_task(db: Db, task: Row) -> Objects:
    """Return a task's annotations."""
    book = LabelBook.of(db, task)
    jobs = task_jobs(db, task)
    return merged([(job, annotation_store.read(db, job["id"], book)) for job in jobs])
