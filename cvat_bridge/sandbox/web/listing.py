"""Lists: equality filters, JSON Logic, search, sort and pages, as CVAT's own lists have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Answer, Call
from cvat_bridge.sandbox.web.errors import ApiError, invalid

Getter = Callable[[Row], Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Index:
    """What a list can be asked by.

    equal: query parameters compared for equality. logic: terms of `filter`. choices: the allowed
    values of enum parameters. numeric: parameters that must be numbers. search: what `search`
    looks into.
    """

    equal: Sequence[str] = ()
    logic: Sequence[str] = ()
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numeric: Sequence[str] = ()
    search: Sequence[str] = ()
    ascending: bool = False


class FilterFaultError(Exception):
    """A filter on which CVAT itself fails with status 500."""


def _var(term: Any, index: Index) -> str | None:
    if isinstance(term, dict) and set(term) == {"var"}:
        name = str(term["var"])
        if name not in index.logic:
            raise invalid(f"filter: term '{name}' is not supported")
        return name
    return None


def _typed(row_value: Any, wanted: Any) -> Any:
    """Return the wanted value in the type of the column; FilterFaultError where it has none."""
    if isinstance(row_value, bool) or row_value is None or wanted is None:
        return wanted
    if isinstance(row_value, int):
        try:
            return int(wanted)
        except (TypeError, ValueError) as error:
            raise FilterFaultError from error
    return wanted


def _same(row_value: Any, wanted: Any) -> bool:
    typed = _typed(row_value, wanted)
    return bool(row_value == typed)


def holds(rule: Any, row: Row, index: Index) -> bool:
    """Return whether a row meets a JSON Logic rule; ApiError 400 for a rule that CVAT refuses."""
    if not isinstance(rule, dict) or len(rule) != 1:
        raise invalid(
            f"filter: expected a non-empty dict value, got '{rule}' of type '{type(rule).__name__}'"
        )
    operation, arguments = next(iter(rule.items()))
    if operation in {"and", "or"} and isinstance(arguments, list):
        results = [holds(argument, row, index) for argument in arguments]
        return all(results) if operation == "and" else any(results)
    if operation in {"!", "!!"}:
        positive = bool(operation == "!!")
        inner = arguments[0] if isinstance(arguments, list) else arguments
        name = _var(inner, index)
        if name and isinstance(arguments, list):
            raise FilterFaultError
        if name:
            return bool(row.get(name)) == positive
        return holds(inner, row, index) == positive
    refused = invalid(
        f"filter: operation '{operation}' with arguments '{arguments}' is not supported"
    )
    if not isinstance(arguments, list):
        raise refused
    if operation in _COMPARE and len(arguments) == 3:
        low, middle, high = arguments
        name = _var(middle, index)
        value = row.get(name or "")
        compare = _COMPARE[operation]
        known = name is not None and value is not None
        return known and compare(low, value) and compare(value, high)
    if len(arguments) != 2:
        raise refused
    left, right = arguments
    name = _var(left, index)
    if operation == "in":
        if name is not None:
            return bool(row.get(name) in right)
        name = _var(right, index)
        return str(left).lower() in str(row.get(name or "") or "").lower()
    if name is None or operation not in {"==", *_COMPARE}:
        raise refused
    value = row.get(name)
    if operation == "==":
        return _same(value, right)
    typed = _typed(value, right)
    return value is not None and typed is not None and _COMPARE[operation](value, typed)


def _parsed(text: str) -> Any:
    try:
        rule = json.loads(text)
    except ValueError as error:
        raise invalid(f"filter: can't parse filter expression: {error}") from error
    if not rule:
        raise invalid("filter shouldn't be empty")
    return rule


def _equal(call: Call, rows: list[Row], index: Index) -> list[Row]:
    faults: dict[str, list[str]] = {}
    for name in index.equal:
        wanted = call.query.get(name)
        if wanted in {None, ""}:
            continue
        if name in index.choices and wanted not in index.choices[name]:
            faults[name] = [f"Select a valid choice. {wanted} is not one of the available choices."]
        elif name in index.numeric and not str(wanted).lstrip("-").isdigit():
            faults[name] = ["Enter a number."]
        else:
            rows = [row for row in rows if str(_plain(row.get(name))) == str(wanted)]
    if faults:
        raise invalid(faults)
    return rows


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _rank(value: Any) -> tuple[bool, Any]:
    """Sort as PostgreSQL does: nulls last when rising, first when falling."""
    return value is None, 0 if value is None else value


def _sorted(call: Call, rows: list[Row], index: Index) -> list[Row]:
    keys = [key for key in call.query.get("sort", "").split(",") if key]
    asked = any(key.lstrip("-") in index.logic for key in keys)
    rows = sorted(rows, key=lambda row: row["id"], reverse=not (asked or index.ascending))
    for key in reversed(keys):
        name = key.lstrip("-")
        if name in index.logic:
            rows.sort(key=lambda row: _rank(row.get(name)), reverse=key.startswith("-"))
    return rows


def select(call: Call, rows: Sequence[Row], index: Index) -> list[Row]:
    """Return the rows the query asks for, in its order."""
    kept = _equal(call, list(rows), index)
    if call.query.get("filter"):
        rule = _parsed(call.query["filter"])
        holds(rule, dict.fromkeys(index.logic), index) if not kept else None
        kept = [row for row in kept if holds(rule, row, index)]
    word = call.query.get("search", "").lower()
    if word:
        words = word.split()
        kept = [
            row
            for row in kept
            if all(any(w in str(row.get(n) or "").lower() for n in index.search) for w in words)
        ]
    return _sorted(call, kept, index)


def paged(call: Call, rows: Sequence[Row], render: Callable[[Row], Any]) -> Answer:
    """Return one page of rows, with links to its neighbours."""
    asked = call.query.get("page_size", "")
    size = len(rows) or 1 if asked == "all" else int(asked) if asked.isdigit() else 10
    size = size or 10
    last = max(1, -(-len(rows) // size))
    given = call.query.get("page", "1") or "1"
    number = last if given == "last" else int(given) if given.isdigit() else 0
    if not 1 <= number <= last:
        raise ApiError(404, {"detail": "Invalid page."})

    def link(page: int) -> str | None:
        if not 1 <= page <= last:
            return None
        query = {**call.query, "page": str(page)}
        if page == 1:
            query.pop("page")
        return call.url(f"{call.path}?{urlencode(query)}" if query else call.path)

    start = (number - 1) * size
    return Answer(
        200,
        {
            "count": len(rows),
            "next": link(number + 1),
            "previous": link(number - 1),
            "results": [render(row) for row in rows[start : start + size]],
        },
    )


def listed(call: Call, rows: Sequence[Row], index: Index, render: Callable[[Row], Any]) -> Answer:
    """Answer a list request over these rows."""
    try:
        chosen = select(call, rows, index)
    except FilterFaultError:
        return Answer(
            500, content=b"<!doctype html><h1>Server Error (500)</h1>", media_type="text/html"
        )
    return paged(call, chosen, render)
