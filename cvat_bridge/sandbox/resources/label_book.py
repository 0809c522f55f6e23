"""The labels that apply to a task, for checking and filling the attributes of annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.sandbox.resources import labels
from cvat_bridge.sandbox.store.state import Db, Row
from cvat_bridge.sandbox.web.errors import invalid


@dataclass(frozen=True)
class LabelBook:
    """The labels of a task with their attributes; sublabels too."""

    attributes: Mapping[int, Sequence[Row]]

    @staticmethod
    def of(db: Db, task: Row) -> LabelBook:
        """Read the labels that apply to a task."""
        found: dict[int, Sequence[Row]] = {}
        for row in labels.of_task(db, task):
            parts = db.all("SELECT * FROM label WHERE parent_id = ?", row["id"])
            for label in (row, *parts):
                found[label["id"]] = labels.attributes(db, label["id"])
        return LabelBook(found)

    def check(self, item: Row, *, mutable: bool | None = None) -> None:
        """Raise ApiError 400 for a label or attribute that is not of this task."""
        label_id = item["label_id"]
        if label_id not in self.attributes:
            raise invalid(f"label_id `{label_id}` is invalid")
        known = {
            row["id"]
            for row in self.attributes[label_id]
            if mutable is None or bool(row["mutable"]) == mutable
        }
        for attribute in item.get("attributes", ()):
            if "value" not in attribute:
                raise ValueError("an attribute without a value: CVAT fails here too")
            if attribute["spec_id"] not in known:
                raise invalid(f"spec_id `{attribute['spec_id']}` is invalid")

    def filled(self, item: Row, *, mutable: bool | None = None) -> list[Row]:
        """Return an item's attributes, with the default of each one that it lacks."""
        given = list(item.get("attributes", ()))
        present = {attribute["spec_id"] for attribute in given}
        return given + [
            {"spec_id": row["id"], "value": row["default_value"]}
            for row in self.attributes.get(item["label_id"], ())
            if row["id"] not in present and (mutable is None or bool(row["mutable"]) == mutable)
        ]
