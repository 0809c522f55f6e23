"""What a tag, a shape and a track must look like to be stored."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.errors import invalid

TYPES = ("rectangle", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")
_SOURCES = ("auto", "semi-auto", "manual", "file", "consensus")
KINDS = ("tags", "shapes", "tracks")


def _source(value: Any) -> str:
    if value == "":
        raise fields.FieldError("This field may not be blank.")
    if value not in _SOURCES:
        allowed = ", ".join(f"'{name}'" for name in _SOURCES)
        raise fields.FieldError(f"must be one of {allowed}, got '{value}'")
    return str(value)


def _points(value: Any) -> list[float]:
    if not isinstance(value, list):
        raise fields.FieldError("Expected a list of items.")
    text = "[ErrorDetail(string='Value must be a float or an integer', code='invalid')]"
    faults = {
        str(index): text
        for index, item in enumerate(value)
        if isinstance(item, bool) or not isinstance(item, (int, float))
    }
    if faults:
        raise fields.FieldError(faults)
    return value


def _right_length(kind: str, count: int) -> bool:
    even = count % 2 == 0
    return {
        "rectangle": count == 4,
        "ellipse": count == 4,
        "polygon": count >= 6 and even,
        "polyline": count >= 4 and even,
        "points": count >= 2 and even,
        "cuboid": count == 16,
        "mask": count >= 5,
        "skeleton": count == 0,
    }[kind]


_ATTRIBUTES = fields.objects(
    {"spec_id": fields.integer(), "value": fields.text(4096)}, required=("spec_id",)
)
_COMMON: dict[str, fields.Check] = {
    "id": fields.nullable(fields.integer()),
    "frame": fields.integer(0),
    "label_id": fields.integer(0),
    "group": fields.nullable(fields.integer(0)),
    "source": _source,
}
_DRAWN: dict[str, fields.Check] = {
    "type": fields.choice(*TYPES),
    "occluded": fields.boolean,
    "outside": fields.boolean,
    "z_order": fields.integer(),
    "rotation": fields.number(0, 360),
    "points": _points,
}
_TAG = {**_COMMON, "attributes": _ATTRIBUTES}


def _drawn(
    checks: dict[str, fields.Check], required: tuple[str, ...], *, part: bool = False
) -> fields.Check:
    def check(value: Any) -> Row:
        taken, faults = fields.examine(value, checks, required=required)
        kind = taken.get("type")
        points = taken.get("points", [])
        if not faults and kind and not _right_length(kind, len(points)):
            faults = {"points": [f"invalid length for shape type '{kind}'"]}
        if not faults and kind == "skeleton" and not part and not taken.get("elements"):
            faults = {"elements": ["at least one required for skeleton shape"]}
        if faults:
            raise fields.FieldError(faults)
        taken.setdefault("points", points)
        return taken

    return check


def _listed(check: fields.Check) -> fields.Check:
    def each(value: Any) -> list[Row]:
        if not isinstance(value, list):
            raise fields.FieldError({"non_field_errors": ["Expected a list of items."]})
        taken: list[Row] = []
        faults: list[Any] = []
        for item in value:
            try:
                taken.append(check(item))
                faults.append({})
            except fields.FieldError as error:
                faults.append(error.fault)
        if any(faults):
            raise fields.FieldError(faults)
        return taken

    return each


_SHAPE_CHECKS = {**_COMMON, **_DRAWN, "score": fields.number(0, 1), "attributes": _ATTRIBUTES}
_ELEMENT = _drawn(_SHAPE_CHECKS, ("type", "label_id"))
_shape = _drawn({**_SHAPE_CHECKS, "elements": _listed(_ELEMENT)}, ("type", "frame", "label_id"))
_KEYFRAME = _drawn(
    {
        **_DRAWN,
        "id": fields.nullable(fields.integer()),
        "frame": fields.integer(0),
        "attributes": _ATTRIBUTES,
    },
    ("type", "frame"),
    part=True,
)


def _tag(value: Any) -> Row:
    taken, faults = fields.examine(value, _TAG, required=("frame", "label_id"))
    if faults:
        raise fields.FieldError(faults)
    return taken


_TRACK_CHECKS = {**_COMMON, "shapes": _listed(_KEYFRAME), "attributes": _ATTRIBUTES}


def _track(value: Any, *, part: bool = False) -> Row:
    required = ("label_id", "shapes") if part else ("frame", "label_id", "shapes")
    checks = (
        _TRACK_CHECKS
        if part
        else {**_TRACK_CHECKS, "elements": _listed(lambda item: _track(item, part=True))}
    )
    taken, faults = fields.examine(value, checks, required=required)
    if faults:
        raise fields.FieldError(faults)
    if not taken["shapes"]:
        raise ValueError("a track without shapes: CVAT fails here too")
    return taken


_BODY: dict[str, fields.Check] = {
    "version": fields.integer(0),
    "tags": _listed(_tag),
    "shapes": _listed(_shape),
    "tracks": _listed(_track),
    "intervals": fields.many(lambda value: value),
}


def parse(body: Any, *, ids: bool | None) -> dict[str, list[Row]]:
    """Return the tags, shapes and tracks of a request body.

    ids: True demands an id on each, False forbids it, None leaves it open. ApiError 400 lists
    every fault.
    """
    if not isinstance(body, dict):
        raise TypeError("annotations must be an object: CVAT fails on a list too")
    taken = fields.take(body, _BODY)
    found = {kind: taken.get(kind, []) for kind in KINDS}
    faults: dict[str, Any] = {}
    for kind, items in found.items():
        wrong = [_id_fault(item, ids) for item in items]
        if any(wrong):
            faults[kind] = wrong
    if faults:
        raise invalid(faults)
    return found


def _id_fault(item: Row, ids: bool | None) -> dict[str, list[str]]:
    if ids is True and item.get("id") is None:
        return {"id": ["must be present and not null"]}
    if ids is False and item.get("id") is not None:
        return {"id": ["must be absent"]}
    return {}
