"""When two annotations are the same, so that a repeated create does not double them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from cvat_bridge.cvat.gateway import RawShape, Written

Key = tuple[Any, ...]

# CVAT stores points as text and gives back the float it was given; this only evens out 6 and 6.0
# and the last bits that another JSON writer may differ in.
POINT_DIGITS = 3


def shape_key(shape: RawShape) -> Key:
    """Name a shape by frame, label, type, points and source."""
    elements = tuple(sorted(shape_key(element) for element in shape.get("elements") or ()))
    return (
        int(shape["frame"]),
        int(shape["label_id"]),
        str(shape["type"]),
        tuple(round(float(value), POINT_DIGITS) for value in shape.get("points") or ()),
        str(shape.get("source") or "manual"),
        elements,
    )


def tag_key(tag: RawShape) -> Key:
    """Name a tag by frame, label and source."""
    return (int(tag["frame"]), int(tag["label_id"]), str(tag.get("source") or "manual"))


def missing_shapes(required: Sequence[RawShape], held: Iterable[RawShape]) -> list[RawShape]:
    """Return the wanted shapes that are not held; equal ones among the wanted count once."""
    return _missing(required, held, shape_key)


def missing_tags(required: Sequence[RawShape], held: Iterable[RawShape]) -> list[RawShape]:
    """Return the wanted tags that are not held; equal ones among the wanted count once."""
    return _missing(required, held, tag_key)


def _missing(
    required: Sequence[RawShape], held: Iterable[RawShape], key: Callable[[RawShape], Key]
) -> list[RawShape]:
    seen = {key(one) for one in held}
    first: dict[Key, RawShape] = {}
    for one in required:
        first.setdefault(key(one), one)
    return [one for name, one in first.items() if name not in seen]


def doubled_shapes(
    ours: Iterable[RawShape], held: Iterable[RawShape], *, keep: Collection[int] = ()
) -> list[RawShape]:
    """Return the shapes that are held besides the first of equal ones, where that is one of ours.

    keep: ids that count as the first. Only automatic shapes, equal in their score too: what people
    have touched has another source, and what they drew has no model's score.
    """
    required = {shape_key(shape) for shape in ours if shape.get("source") == "auto"}
    first: set[tuple[Key, Any]] = set()
    extra = []
    for shape in sorted(held, key=lambda one: (one["id"] not in keep, int(one["id"]))):
        key = (shape_key(shape), shape.get("score"))
        if key[0] in required and key in first:
            extra.append(shape)
        first.add(key)
    return extra


def written(
    *,
    shapes: Sequence[RawShape],
    tags: Sequence[RawShape],
    held_shapes: Iterable[RawShape],
    held_tags: Iterable[RawShape],
) -> Written:
    """Give, for each object wanted and in that order, the one that the job holds.

    Raises KeyError when the job holds no equal of one of them.
    """
    shape_of: dict[Key, RawShape] = {}
    for shape in held_shapes:
        shape_of.setdefault(shape_key(shape), shape)
    tag_of: dict[Key, RawShape] = {}
    for tag in held_tags:
        tag_of.setdefault(tag_key(tag), tag)
    return Written(
        tags=tuple(tag_of[tag_key(tag)] for tag in tags),
        shapes=tuple(shape_of[shape_key(shape)] for shape in shapes),
    )
