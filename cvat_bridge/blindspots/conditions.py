"""What can make a slice: attributes and their values, as codes of every box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.types import Condition
from cvat_bridge.evaluations.table import BoxColumns, EvaluationTable, FrameColumns

Codes = NDArray[np.int32]
_AT_BORDER = 0.01  # of the frame's smaller side
_LONG = 0.585  # log2 of 1.5
_CROWD = 3  # neighbours
_MOST_TASKS = 50
_LOOKS = {"brightness": ("dark", "bright"), "contrast": ("flat", "contrasty")}
_LOOKS["sharpness"] = ("blurred", "sharp")
_LOOK_WORDS = {
    "dark": "in the darkest quarter of the frames",
    "bright": "in the brightest quarter of the frames",
    "flat": "in the quarter of the frames with least contrast",
    "contrasty": "in the quarter of the frames with most contrast",
    "blurred": "in the most blurred quarter of the frames",
    "sharp": "in the sharpest quarter of the frames",
}


@dataclass(frozen=True)
class Attribute:
    """conditions: of its values, in the order of their codes. of_frame: of frames, not boxes."""

    name: str
    conditions: tuple[Condition, ...]
    of_frame: bool


@dataclass(frozen=True, eq=False)
class Conditions:
    """The attributes by which a record can be sliced, and how boxes of any table fall into them."""

    attributes: tuple[Attribute, ...]
    classes: tuple[str, ...]
    subsets: tuple[str, ...]
    cuts: Mapping[str, tuple[float, float]]

    def codes(self, frames: FrameColumns, boxes: BoxColumns, subsets: Sequence[str]) -> Codes:
        """Return each box's value of each attribute, (attributes, N), -1 for none of its values.

        boxes.class_id points into `classes`; subsets: what frames.subset points into.
        """
        rows = []
        for one in self.attributes:
            if one.of_frame:
                rows.append(self.frame_code(one, frames, subsets)[boxes.frame])
            else:
                rows.append(self._box_code(one, boxes))
        return np.stack(rows) if rows else np.zeros((0, len(boxes)), np.int32)

    def frame_code(self, one: Attribute, frames: FrameColumns, subsets: Sequence[str]) -> Codes:
        """Return each frame's value of an attribute of frames, (F,), -1 for none."""
        if one.name in self.cuts:
            return _quarters(getattr(frames, one.name), self.cuts[one.name])
        values = [condition.value for condition in one.conditions]
        if one.name == "task":
            return _places(frames.task, [int(value) for value in values])
        if one.name == "subset":
            known = [subsets.index(value) if value in subsets else -2 for value in values]
            return _places(frames.subset, known)
        return np.asarray(frames.cluster, np.int32)

    def _box_code(self, one: Attribute, boxes: BoxColumns) -> Codes:
        if one.name == "class":
            return np.asarray(boxes.class_id, np.int32)
        if one.name == "size":
            return _quarters(boxes.size, self.cuts.get("size", (-1.0, np.inf)))
        if one.name == "shape":
            return ((boxes.aspect >= -_LONG).astype(np.int32) + (boxes.aspect > _LONG)).astype(
                np.int32
            )
        if one.name == "place":
            return np.where(boxes.edge <= _AT_BORDER, 0, 1).astype(np.int32)
        few = boxes.crowding > 0
        return np.where(few, np.where(boxes.crowding >= _CROWD, 1, -1), 0).astype(np.int32)


def conditions_of(evaluated: EvaluationTable) -> Conditions:
    """Return the attributes by which the objects of a record differ."""
    frames = evaluated.frames
    found = [
        Attribute(
            "class", tuple(Condition("class", n, f"{n}") for n in evaluated.classes), of_frame=False
        ),
        _sizes(evaluated),
        _fixed(
            "shape",
            {
                "tall": "taller than wide",
                "square": "about as wide as tall",
                "wide": "wider than tall",
            },
        ),
        _fixed("place", {"border": "touching the frame's border", "inside": "inside the frame"}),
        _fixed("crowding", {"alone": "with no neighbour", "crowded": "in a crowd"}),
    ]
    for name, values in _LOOKS.items():
        if name in evaluated.cuts and evaluated.cuts[name][0] < evaluated.cuts[name][1]:
            found.append(
                Attribute(
                    name,
                    tuple(Condition(name, value, _LOOK_WORDS[value]) for value in values),
                    of_frame=True,
                )
            )
    tasks, counts = np.unique(frames.task, return_counts=True)
    if len(tasks) > 1:
        often = sorted(tasks[np.argsort(-counts, kind="stable")][:_MOST_TASKS].tolist())
        rows = tuple(Condition("task", str(t), f"in task {t}") for t in often)
        found.append(Attribute("task", rows, of_frame=True))
    if len(evaluated.subsets) > 1:
        rows = tuple(
            Condition("subset", name, f"in subset {name}" if name else "in no subset")
            for name in evaluated.subsets
        )
        found.append(Attribute("subset", rows, of_frame=True))
    if len(evaluated.centres) > 1:
        rows = tuple(
            Condition("scene", str(n + 1), f"in scenes of kind {n + 1}")
            for n in range(len(evaluated.centres))
        )
        found.append(Attribute("scene", rows, of_frame=True))
    return Conditions(tuple(found), evaluated.classes, evaluated.subsets, evaluated.cuts)


def words_of(conditions: Sequence[Condition]) -> str:
    """Say a slice in words: "RBC, small, in the darkest quarter of the frames"."""
    if not conditions:
        return "all objects"
    named = [one for one in conditions if one.attribute == "class"]
    others = [one.words for one in conditions if one.attribute != "class"]
    head = named[0].words if named else "objects"
    return f"{head} {', '.join(others)}" if others else head


def key_of(conditions: Sequence[Condition]) -> str:
    """Write a slice for addresses; values are quoted as in a query string."""
    from urllib.parse import urlencode

    return urlencode([(one.attribute, one.value) for one in conditions])


def read_key(known: Conditions, key: str) -> tuple[tuple[int, int], ...]:
    """Read a slice's key as (attribute, code) pairs. Raises ValueError for what is not known."""
    from urllib.parse import parse_qsl

    found = []
    for name, value in parse_qsl(key, keep_blank_values=True, strict_parsing=bool(key)):
        place = next((n for n, one in enumerate(known.attributes) if one.name == name), None)
        code = (
            None
            if place is None
            else next(
                (n for n, c in enumerate(known.attributes[place].conditions) if c.value == value),
                None,
            )
        )
        if place is None or code is None:
            raise ValueError(f"no slice {name}={value} in this record")
        found.append((place, code))
    return tuple(found)


def _sizes(evaluated: EvaluationTable) -> Attribute:
    low, high = evaluated.cuts.get("size", (0.0, 0.0))
    rows = (
        Condition(
            "size", "small", f"of the smallest quarter (under {low:.1%} of the frame's side)"
        ),
        Condition("size", "large", f"of the largest quarter (over {high:.1%} of the frame's side)"),
    )
    return Attribute("size", rows if low < high else (), of_frame=False)


def _fixed(name: str, values: Mapping[str, str]) -> Attribute:
    rows = tuple(Condition(name, value, words) for value, words in values.items())
    return Attribute(name, rows, of_frame=False)


def _quarters(values: NDArray[np.floating], cuts: tuple[float, float]) -> Codes:
    """Return 0 up to the first cut, 1 from the second, -1 between and for what is not known."""
    low, high = cuts
    return np.where(values <= low, 0, np.where(values >= high, 1, -1)).astype(np.int32)


def _places(values: NDArray[np.int32], wanted: Sequence[int]) -> Codes:
    order = np.argsort(wanted, kind="stable")
    names = np.asarray(wanted)[order]
    place = np.clip(np.searchsorted(names, values), 0, max(len(names) - 1, 0))
    if not len(names):
        return np.full(len(values), -1, np.int32)
    return np.where(names[place] == values, order[place], -1).astype(np.int32)
