"""Which of a model's labels and attributes become which of a task's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvat_bridge.sandbox.resources import labels
from cvat_bridge.sandbox.store.state import Db, Row
from cvat_bridge.sandbox.web.errors import refused


@dataclass(frozen=True)
class Target:
    """What a model's label becomes: a label of the task, attributes by name, parts by name."""

    label: Row
    attributes: Mapping[str, Row]
    parts: Mapping[str, Target]


def compatible(model_type: str, task_type: str) -> bool:
    """Return whether a model's label type may become a task's."""
    if "skeleton" in {model_type, task_type}:
        return model_type == task_type
    both = {model_type, task_type}
    return len(both) == 1 or "any" in both or both == {"mask", "polygon"}


def _parts(db: Db, label: Row) -> list[Row]:
    return db.all("SELECT * FROM label WHERE parent_id = ? ORDER BY id", label["id"])


def by_name(
    db: Db, model_labels: Sequence[Mapping[str, Any]], task_labels: Sequence[Row]
) -> dict[str, Target]:
    """Map labels of equal name and fitting type; the others are left out without a word."""
    found: dict[str, Target] = {}
    for model in model_labels:
        for label in task_labels:
            if label["name"] != model["name"] or not compatible(model["type"], label["type"]):
                continue
            own = {row["name"]: row for row in labels.attributes(db, label["id"])}
            shared = {a["name"]: own[a["name"]] for a in model["attributes"] if a["name"] in own}
            parts = (
                by_name(db, model["sublabels"], _parts(db, label))
                if model["type"] == "skeleton"
                else {}
            )
            found[model["name"]] = Target(label, shared, parts)
    return found


def given(
    db: Db,
    asked: Mapping[str, Any],
    model_labels: Sequence[Mapping[str, Any]],
    task_labels: Sequence[Row],
) -> dict[str, Target]:
    """Map as the request says; ApiError 400 for names that are not there or do not fit."""
    models = {label["name"]: label for label in model_labels}
    tasks = {label["name"]: label for label in task_labels}
    found: dict[str, Target] = {}
    for name, item in asked.items():
        if name not in models:
            raise refused(f'Invalid mapping. Unknown model label "{name}"')
        if item["name"] not in tasks:
            raise refused(f'Invalid mapping. Unknown db label "{item["name"]}"')
        model, label = models[name], tasks[item["name"]]
        if not compatible(model["type"], label["type"]):
            raise refused(
                f'Invalid mapping. Model label "{name}" and database label "{item["name"]}" '
                "are not compatible"
            )
        own = {row["name"]: row for row in labels.attributes(db, label["id"])}
        offered = {attribute["name"] for attribute in model["attributes"]}
        chosen: dict[str, Row] = {}
        for model_name, task_name in (item.get("attributes") or {}).items():
            if model_name not in offered:
                raise refused(f'Invalid mapping. Unknown model attribute "{model_name}"')
            if task_name not in own:
                raise refused(f'Invalid mapping. Unknown db attribute "{task_name}"')
            chosen[model_name] = own[task_name]
        parts = (
            given(db, item["sublabels"], model["sublabels"], _parts(db, label))
            if model["type"] == "skeleton"
            else {}
        )
        found[name] = Target(label, chosen, parts)
    return found


def attribute_fits(value: Any, attribute: Row) -> bool:
    """Return whether a model's attribute value may be stored; what may not is left out."""
    choices = json.loads(attribute["choices"])
    kind = attribute["input_type"]
    if kind == "text":
        return True
    if kind == "checkbox":
        return value in {"true", "false"}
    if kind == "number":
        low, high, step = (int(choice) for choice in choices)
        try:
            number = int(value)
        except ValueError:
            return False
        return low <= number <= high and (number - low) % step == 0
    # CVAT looks for the text inside the joined list, so that a prefix passes
    return str(value) in "\n".join(choices)
