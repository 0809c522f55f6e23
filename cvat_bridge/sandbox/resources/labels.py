"""Labels and their attributes, of a project or of a task without one."""

from __future__ import annotations

import colorsys
import json
import random
from collections.abc import Sequence
from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.resources import records
from cvat_bridge.sandbox.store.state import Db, Row
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, invalid, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

TYPES = (
    "any",
    "cuboid",
    "ellipse",
    "mask",
    "points",
    "polygon",
    "polyline",
    "rectangle",
    "skeleton",
    "interval",
    "tag",
)
_INPUTS = ("checkbox", "radio", "number", "text", "select")
_INDEX = Index(
    equal=("name", "parent", "color", "type"),
    logic=("id", "name", "parent", "type", "color"),
    search=("name", "parent"),
    choices={"type": TYPES},
    ascending=True,
)
_ATTRIBUTE: dict[str, fields.Check] = {
    "id": fields.integer(),
    "name": fields.text(64, blank=False),
    "mutable": fields.boolean,
    "input_type": fields.choice(*_INPUTS),
    "default_value": fields.text(128),
    "values": fields.many(fields.text(200)),
}
_CHECKS: dict[str, fields.Check] = {
    "id": fields.integer(),
    "name": fields.text(64, blank=False),
    "color": fields.text(),
    "type": fields.choice(*TYPES),
    "svg": fields.text(),
    "deleted": fields.boolean,
    "attributes": fields.objects(_ATTRIBUTE, required=("name", "mutable", "input_type", "values")),
}
_SUBLABELS = fields.objects(_CHECKS, required=("name",))
_CHECKS["sublabels"] = _SUBLABELS
check = fields.objects(_CHECKS)


def _new_color() -> str:
    red, green, blue = colorsys.hsv_to_rgb(random.random(), 0.6, 0.85)
    return f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"


def of_project(db: Db, project_id: int) -> list[Row]:
    """Return the labels of a project, without sublabels."""
    return db.all(
        "SELECT * FROM label WHERE project_id = ? AND parent_id IS NULL ORDER BY id", project_id
    )


def of_task(db: Db, task: Row) -> list[Row]:
    """Return the labels that apply to a task."""
    if task["project_id"] is not None:
        return of_project(db, task["project_id"])
    return db.all(
        "SELECT * FROM label WHERE task_id = ? AND parent_id IS NULL ORDER BY id", task["id"]
    )


def attributes(db: Db, label_id: int) -> list[Row]:
    """Return the attributes of a label."""
    return db.all("SELECT * FROM attribute WHERE label_id = ? ORDER BY id", label_id)


def _save_attributes(db: Db, label_id: int, given: Sequence[Row]) -> None:
    for item in given:
        choices = item.get("values") or [""]
        columns = {
            "name": item.get("name"),
            "mutable": item.get("mutable", False),
            "input_type": item.get("input_type"),
            "choices": json.dumps(choices),
            "default_value": item.get("default_value") or (choices[0] if choices else ""),
        }
        if item.get("id"):
            known = {name: value for name, value in columns.items() if name in item}
            if "values" in item:
                known["choices"] = columns["choices"]
            if known:
                db.update("attribute", item["id"], **known)
        else:
            db.insert("attribute", label_id=label_id, **columns)


def save(
    call: Call, given: Sequence[Row], *, project_id: int | None = None, task_id: int | None = None
) -> None:
    """Add, change and delete labels as a project's or task's `labels` field says."""
    column, owner = ("project_id", project_id) if project_id is not None else ("task_id", task_id)
    sql = f"SELECT id, name FROM label WHERE {column} = ? AND parent_id IS NULL"  # noqa: S608
    names = {row["id"]: row["name"] for row in call.db.all(sql, owner)}
    for item in given:
        if item.get("id") is not None and item["id"] not in names:
            raise invalid(f"Not found label with id #{item['id']} to change")
        if item.get("deleted"):
            names.pop(item.get("id", -1), None)
            remove(call, int(item["id"]))
            continue
        names[item.get("id") or -len(names) - 1] = item.get("name") or names.get(item.get("id"))
        if len(set(names.values())) < len(names):
            raise invalid("All label names must be unique")
        if item.get("id"):
            update(call.db, item["id"], item)
        else:
            _add(call.db, item, **{column: owner})


def _add(db: Db, item: Row, **owner: Any) -> int:
    label_id = db.insert(
        "label",
        name=item.get("name", ""),
        color=item.get("color") or _new_color(),
        type=item.get("type", "any"),
        svg=item.get("svg"),
        **owner,
    )
    _save_attributes(db, label_id, item.get("attributes", ()))
    for part in item.get("sublabels", ()):
        _add(db, part, parent_id=label_id, **{k: v for k, v in owner.items() if k != "parent_id"})
    return label_id


def update(db: Db, label_id: int, item: Row) -> None:
    """Change a label; without a colour it gets a new one, as CVAT does."""
    columns = {name: item[name] for name in ("name", "type") if item.get(name)}
    db.update("label", label_id, color=item.get("color") or _new_color(), **columns)
    _save_attributes(db, label_id, item.get("attributes", ()))


def remove(call: Call, label_id: int) -> None:
    """Delete a label with its sublabels and every annotation of it."""
    for row in call.db.all("SELECT id FROM label WHERE parent_id = ?", label_id):
        remove(call, row["id"])
    for table in ("tag", "shape", "track", "attribute"):
        call.db.run(f"DELETE FROM {table} WHERE label_id = ?", label_id)  # noqa: S608
    call.db.run("DELETE FROM label WHERE id = ?", label_id)


def view(call: Call, row: Row) -> dict[str, Any]:
    """Return a label as the API has it."""
    found = {
        "id": row["id"],
        "name": row["name"],
        "color": row["color"],
        "attributes": [
            {
                "id": a["id"],
                "name": a["name"],
                "mutable": bool(a["mutable"]),
                "input_type": a["input_type"],
                "default_value": a["default_value"],
                "values": json.loads(a["choices"]),
            }
            for a in attributes(call.db, row["id"])
        ],
        "type": row["type"],
        "parent_id": row["parent_id"],
        "sublabels": [
            view(call, part)
            for part in call.db.all(
                "SELECT * FROM label WHERE parent_id = ? ORDER BY id", row["id"]
            )
        ],
        "has_parent": row["parent_id"] is not None,
    }
    if row["parent_id"] is not None:
        del found["parent_id"], found["sublabels"]
        return found
    if row["project_id"] is not None:
        found["project_id"] = row["project_id"]
    if row["task_id"] is not None:
        found["task_id"] = row["task_id"]
    if row["type"] == "skeleton" and row["svg"]:
        found["svg"] = row["svg"]
    return found


def _list(call: Call) -> Answer:
    asked = [name for name in ("job_id", "task_id", "project_id") if call.query.get(name)]
    if len(asked) > 1:
        raise invalid("job_id, task_id and project_id parameters cannot be used together")
    if not asked:
        rows = _visible(call)
    else:
        number = call.query[asked[0]]
        table = asked[0].removesuffix("_id")
        if not number.isdigit() or call.db.get(table, int(number)) is None:
            raise ApiError(500, "CVAT fails here too")
        rows = _labels_under(call, table, int(number))
    return listed(call, rows, _INDEX, lambda row: view(call, row))


def _labels_under(call: Call, table: str, row_id: int) -> list[Row]:
    if table == "project":
        permissions.project(call, row_id)
        return of_project(call.db, row_id)
    if table == "task":
        return of_task(call.db, permissions.task(call, row_id))
    return of_task(call.db, permissions.job(call, row_id)[1])


def _visible(call: Call) -> list[Row]:
    rows = call.db.all("SELECT * FROM label WHERE parent_id IS NULL ORDER BY id")
    return [row for row in rows if _may_see(call, row)]


def _may_see(call: Call, row: Row) -> bool:
    if call.is_admin:
        return True
    project = call.db.get("project", row["project_id"])
    if project is not None:
        return permissions.staff_of_project(call, project)
    task = call.db.get("task", row["task_id"])
    return task is not None and permissions.staff_of_task(call, task)


def _found(call: Call, label_id: int) -> Row:
    row = call.db.get("label", label_id)
    if row is None:
        raise not_found("Label")
    if not _may_see(call, row):
        raise ApiError(403, {"detail": "You do not have permission to perform this action."})
    return row


def _touch_owner(call: Call, row: Row) -> None:
    from cvat_bridge.sandbox.store.state import now

    for table in ("project", "task"):
        if row[f"{table}_id"] is not None:
            records.change(call, table, row[f"{table}_id"], updated_date=now())


def _patch(call: Call, label_id: int) -> Answer:
    row = _found(call, label_id)
    update(call.db, label_id, fields.take(call.fields(), _CHECKS))
    _touch_owner(call, row)
    return Answer(200, view(call, _found(call, label_id)))


def _delete(call: Call, label_id: int) -> Answer:
    row = _found(call, label_id)
    if row["parent_id"] is not None:
        raise invalid(
            "Sublabels cannot be deleted this way. Please send a PATCH request with "
            "updated parent label data instead."
        )
    remove(call, label_id)
    _touch_owner(call, row)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/labels", _list),
    Route(
        "GET",
        "/api/labels/{label_id:int}",
        lambda call, label_id: Answer(200, view(call, _found(call, label_id))),
    ),
    Route("PATCH", "/api/labels/{label_id:int}", _patch),
    Route("DELETE", "/api/labels/{label_id:int}", _delete),
)
