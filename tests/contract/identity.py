"""Ids of the recorded server and of the replayed one, kept apart by kind."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

_KEYS = {
    "project_id": "project",
    "task_id": "task",
    "job_id": "job",
    "parent_job_id": "job",
    "label_id": "label",
    "parent_id": "label",
    "spec_id": "attribute",
    "issue_id": "issue",
    "guide_id": "guide",
    "webhook_id": "webhook",
    "organization_id": "organization",
    "org_id": "organization",
    "job": "job",
    "task": "task",
    "issue": "issue",
    "organization": "organization",
    "owner_id": "user",
    "assignee_id": "user",
    "assignee": "user",
}
_INSIDE = {
    "owner": "user",
    "assignee": "user",
    "sender": "user",
    "user": "user",
    "sublabels": "label",
    "labels": "label",
    "tags": "tag",
    "tracks": "track",
    "webhook": "webhook",
    "project": "project",
    "task": "task",
    "job": "job",
}
_PATHS = {
    "projects": "project",
    "tasks": "task",
    "jobs": "job",
    "labels": "label",
    "users": "user",
    "issues": "issue",
    "comments": "comment",
    "guides": "guide",
    "webhooks": "webhook",
    "deliveries": "delivery",
    "organizations": "organization",
    "memberships": "membership",
    "access_tokens": "token",
}
_UNKNOWN = 50_000_000  # an id nobody has, so that a stranger's id stays a stranger's


def kind_of(path: str) -> str | None:
    """Return the kind of object that a path answers with."""
    for part in reversed(path.split("?", maxsplit=1)[0].strip("/").split("/")):
        if part == "ping":
            return "delivery"
        if part in {"annotations", "meta", "data", "preview", "status"}:
            return None
        if part in _PATHS:
            return _PATHS[part]
    return None


class Identity:
    """The replayed server's id for each recorded one."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], int] = {("user", 1): 1, ("user", 2): 2}

    def learn(self, kind: str, recorded: int, actual: int) -> None:
        """Remember that this is the same object."""
        self.known[kind, recorded] = actual

    def _suppose(self, kind: str, recorded: int, actual: int) -> None:
        """Learn a pair unless either of the two is known to be something else."""
        taken = {here for (what, _), here in self.known.items() if what == kind}
        if (kind, recorded) not in self.known and actual not in taken:
            self.known[kind, recorded] = actual

    def knows(self, kind: str, recorded: int) -> bool:
        """Return whether this object is known here."""
        return (kind, recorded) in self.known

    def actual(self, kind: str, recorded: int) -> int:
        """Return the id here; one that nobody has for an object we never saw."""
        return self.known.get((kind, recorded), _UNKNOWN + recorded)

    def match(self, recorded: Any, actual: Any, kind: str | None) -> None:
        """Walk an answer and the recorded one side by side and learn the ids."""
        if isinstance(recorded, list) and isinstance(actual, list):
            if kind and len(recorded) != len(actual):
                return  # who is who cannot be told
            for left, right in zip(recorded, actual, strict=False):
                self.match(left, right, kind)
        elif isinstance(recorded, dict) and isinstance(actual, dict):
            pair = recorded.get("id"), actual.get("id")
            if kind and all(isinstance(one, int) for one in pair):
                self._suppose(kind, *pair)
            for key in recorded.keys() & actual.keys():
                self.match(recorded[key], actual[key], _inside(key, kind))

    def aligned(self, recorded: Any, actual: Any) -> Any:
        """Return the answer with annotations in the recorded order, where ids are known already.

        Objects of one frame come in no fixed order.
        """
        if not isinstance(recorded, dict) or not isinstance(actual, dict):
            return actual
        changed = dict(actual)
        for kind in ("tags", "shapes", "tracks"):
            left, right = recorded.get(kind), actual.get(kind)
            if isinstance(left, list) and isinstance(right, list):
                changed[kind] = self._ordered(left, right, kind.removesuffix("s"))
        return changed

    def _ordered(self, recorded: list[Any], actual: list[Any], kind: str) -> list[Any]:
        whole = [*recorded, *actual]
        if not all(isinstance(item, dict) and isinstance(item.get("id"), int) for item in whole):
            return actual
        by_id = {item.get("id"): item for item in actual}
        taken = [by_id.pop(self.known.get((kind, item.get("id")), -1), None) for item in recorded]
        rest = [item for item in actual if item.get("id") in by_id]
        for index, (item, found) in enumerate(zip(recorded, taken, strict=True)):
            if found is None:
                alike = (one for one in rest if _look(one) == _look(item))
                taken[index] = next(alike, None)
                rest = [one for one in rest if one is not taken[index]]
        return [
            rest.pop(0) if item is None and rest else item
            for item in taken
            if item is not None or rest
        ] + rest

    def body(self, value: Any, kind: str | None = None) -> Any:
        """Return a request body with the ids of the replayed server."""
        if isinstance(value, list):
            return [self.body(item, kind) for item in value]
        if not isinstance(value, dict):
            return value
        changed = {}
        for key, item in value.items():
            if isinstance(item, int) and not isinstance(item, bool):
                of = kind if key == "id" else _KEYS.get(key)
                changed[key] = self.actual(of, item) if of else item
            else:
                changed[key] = self.body(item, _inside(key, kind))
        return changed

    def path(self, path: str) -> str:
        """Return a request path with the ids of the replayed server."""
        place, _, query = path.partition("?")
        place = re.sub(
            r"/(\w+)/(\d+)",
            lambda found: f"/{found[1]}/{self._segment(found[1], int(found[2]))}",
            place,
        )
        place = "/".join(self._request_id(part) for part in place.split("/"))
        if not query:
            return place
        kind = kind_of(place)
        pairs = [(key, self._term(key, text, kind)) for key, text in parse_qsl(query, True)]
        return f"{place}?{urlencode(pairs)}"

    def _segment(self, name: str, number: int) -> int:
        return self.actual(_PATHS[name], number) if name in _PATHS else number

    def _request_id(self, part: str) -> str:
        if "target_id" not in part:
            return part
        text = unquote(part)
        kind = re.search(r"target=(\w+)", text)
        text = re.sub(
            r"target_id=(\d+)",
            lambda found: f"target_id={self.actual(kind[1] if kind else '', int(found[1]))}",
            text,
        )
        return quote(text, safe="")

    def _term(self, key: str, text: str, kind: str | None) -> str:
        if key == "filter":
            try:
                return json.dumps(self._rule(json.loads(text), kind))
            except ValueError:
                return text
        if key in _KEYS and text.isdigit():
            return str(self.actual(_KEYS[key], int(text)))
        return text

    def _rule(self, rule: Any, kind: str | None) -> Any:
        """Return a JSON Logic rule with the ids of the replayed server."""
        if isinstance(rule, dict):
            return {key: self._rule(item, kind) for key, item in rule.items()}
        if not isinstance(rule, list):
            return rule
        names = [item["var"] for item in rule if isinstance(item, dict) and "var" in item]
        of = kind if names == ["id"] else _KEYS.get(names[0]) if len(names) == 1 else None
        return [self._compared(item, of, kind) for item in rule]

    def _compared(self, item: Any, of: str | None, kind: str | None) -> Any:
        if of and isinstance(item, list):
            return [self._compared(one, of, kind) for one in item]
        if of and isinstance(item, int) and not isinstance(item, bool):
            return self.actual(of, item)
        return self._rule(item, kind)


def _look(item: dict[str, Any]) -> tuple[Any, ...]:
    return item.get("frame"), item.get("type"), item.get("points")


def _inside(key: str, kind: str | None) -> str | None:
    if key == "shapes":
        return "keyframe" if kind == "track" else "shape"
    if key == "attributes":
        return "attribute" if kind == "label" else None
    if key in {"results", "elements"}:
        return kind
    if key in {"jobs", "tasks", "issues", "comments", "function", "operation"}:
        return None
    return _INSIDE.get(key)
