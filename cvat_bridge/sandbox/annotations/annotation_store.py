"""Annotations of jobs: what is stored, created, replaced and deleted, with CVAT's semantics.

Ids come from one sequence a kind and are never reused; `update` deletes by id and creates again
under the same id, so that it also brings back what is gone; PUT wipes first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cvat_bridge.sandbox.annotations.shapes import KINDS
from cvat_bridge.sandbox.resources.label_book import LabelBook
from cvat_bridge.sandbox.store.state import Db, Row
from cvat_bridge.sandbox.web.errors import ApiError

Objects = dict[str, list[Row]]
_TABLES = {"tags": "tag", "shapes": "shape", "tracks": "track"}


def _tag(item: Row) -> Row:
    return {
        "id": item.get("id"),
        "label_id": item["label_id"],
        "frame": item["frame"],
        "group": item.get("group") or 0,
        "source": item.get("source", "manual"),
        "attributes": item.get("attributes", []),
    }


def _drawn(item: Row) -> Row:
    return {
        "type": item["type"],
        "occluded": item.get("occluded", False),
        "outside": item.get("outside", False),
        "z_order": item.get("z_order", 0),
        "rotation": item.get("rotation", 0.0),
        "points": item["points"],
    }


def _shape(item: Row) -> Row:
    shape = {
        **_drawn(item),
        "id": item.get("id"),
        "label_id": item["label_id"],
        "group": item.get("group") or 0,
        "source": item.get("source", "manual"),
        "frame": item["frame"],
        "score": item.get("score", 1),
        "attributes": item.get("attributes", []),
        "elements": [],
    }
    shape["elements"] = [
        {
            **_shape(
                {
                    "group": shape["group"],
                    "source": shape["source"],
                    **part,
                    "frame": shape["frame"],
                }
            )
        }
        for part in item.get("elements", ())
    ]
    for part in shape["elements"]:
        part.pop("elements")
    return shape


def _keyframe(item: Row) -> Row:
    return {
        **_drawn(item),
        "frame": item["frame"],
        "id": item.get("id"),
        "attributes": item.get("attributes", []),
    }


def _track(item: Row) -> Row:
    frame = min(shape["frame"] for shape in item["shapes"])
    return {
        "id": item.get("id"),
        "label_id": item["label_id"],
        "frame": frame,
        "group": item.get("group") or 0,
        "source": item.get("source", "manual"),
        "shapes": [_keyframe(shape) for shape in item["shapes"]],
        "attributes": item.get("attributes", []),
        "elements": [_track(part) for part in item.get("elements", ())],
    }


_NORMAL = {"tags": _tag, "shapes": _shape, "tracks": _track}


def _checked(book: LabelBook, kind: str, items: Iterable[Row]) -> None:
    for item in items:
        if kind == "tracks":
            book.check(item, mutable=False)
            for shape in item["shapes"]:
                book.check({**shape, "label_id": item["label_id"]}, mutable=True)
        else:
            book.check(item)
        _checked(book, kind, item.get("elements", ()))


def _number(db: Db, kind: str, items: Sequence[Row]) -> None:
    """Give ids to what has none: objects, skeleton elements and keyframes."""
    groups: dict[str, list[Row]] = {"tag": [], "shape": [], "track": [], "keyframe": []}
    pending = list(items)
    while pending:
        item = pending.pop()
        groups[_TABLES[kind]].append(item)
        groups["keyframe"] += item.get("shapes", ())
        pending += item.get("elements", ())
    for name, members in groups.items():
        lacking = [member for member in members if member.get("id") is None]
        lacking.reverse()
        if lacking:
            for member, new in zip(lacking, db.ids(name, len(lacking)), strict=True):
                member["id"] = new


def create(db: Db, job_id: int, book: LabelBook, given: Objects) -> Objects:
    """Store objects and give them with their ids; ApiError 400 when an id is taken."""
    made: Objects = {}
    for kind in KINDS:
        items = [_NORMAL[kind](item) for item in given.get(kind, ())]
        _checked(book, kind, items)
        _number(db, kind, items)
        table = _TABLES[kind]
        for item in items:
            holder = db.get(table, item["id"])
            if holder is not None:
                raise ApiError(
                    400,
                    'duplicate key value violates unique constraint "engine_labeled'
                    f'{table}_pkey"\nDETAIL:  Key (id)=({item["id"]}) already exists.\n',
                )
        db.many(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)",  # noqa: S608  tables are ours
            [
                (item["id"], job_id, item["frame"], item["label_id"], json.dumps(item))
                for item in items
            ],
        )
        made[kind] = items
    return made


def delete(db: Db, job_id: int, given: Objects) -> None:
    """Remove objects of a job by id; unknown ids are no error."""
    for kind in KINDS:
        db.many(
            f"DELETE FROM {_TABLES[kind]} WHERE id = ? AND job_id = ?",  # noqa: S608
            [(item["id"], job_id) for item in given.get(kind, ()) if item.get("id") is not None],
        )


def clear(db: Db, job_id: int) -> bool:
    """Remove everything of a job; say whether there was anything."""
    removed = [
        db.run(f"DELETE FROM {table} WHERE job_id = ?", job_id).rowcount  # noqa: S608
        for table in _TABLES.values()
    ]
    return any(removed)


def stored(db: Db, job_id: int, kind: str) -> list[Row]:
    """Return one kind of a job's objects as they are stored."""
    table = _TABLES[kind]
    sql = f"SELECT body FROM {table} WHERE job_id = ? ORDER BY frame, id"  # noqa: S608
    return [json.loads(row["body"]) for row in db.all(sql, job_id)]


def _floats(item: Row) -> Row:
    return {
        **item,
        "points": [float(value) for value in item["points"]],
        "rotation": float(item["rotation"]),
    }


def _shown(book: LabelBook, kind: str, item: Row) -> Row:
    if kind == "tags":
        return {**item, "attributes": book.filled(item)}
    if kind == "shapes":
        shown = {**_floats(item), "score": float(item["score"]), "attributes": book.filled(item)}
        if "elements" in item:
            shown["elements"] = [_shown(book, kind, part) for part in item["elements"]]
        return shown
    # immutable attributes stand on the track, mutable ones hold from one keyframe to the next
    ordered = sorted(item["shapes"], key=lambda shape: shape["frame"])
    keyframes: list[Row] = []
    before: list[Row] = []
    for shape in ordered:
        given = {attribute["spec_id"] for attribute in shape["attributes"]}
        carried = [one for one in before if one["spec_id"] not in given]
        attributes = [*shape["attributes"], *carried]
        labelled = {"label_id": item["label_id"], "attributes": attributes}
        before = book.filled(labelled, mutable=True)
        keyframes.append({**_floats(shape), "attributes": before})
    return {
        **item,
        "shapes": keyframes,
        "attributes": book.filled(item, mutable=False),
        "elements": [_shown(book, kind, part) for part in item["elements"]],
    }


def read(db: Db, job_id: int, book: LabelBook) -> Objects:
    """Return the objects of a job as GET shows them, with defaults filled in."""
    return {kind: [_shown(book, kind, item) for item in stored(db, job_id, kind)] for kind in KINDS}


def whole(objects: Objects) -> dict[str, Any]:
    """Return the body that carries these objects."""
    return {"version": 0, **{kind: objects.get(kind, []) for kind in KINDS}, "intervals": []}


def normal(kind: str, item: Row) -> Row:
    """Return one object in the form it is stored in."""
    return _NORMAL[kind](item)
