"""Checks of request bodies, with faults in the form CVAT gives them: {field: [what is wrong]}."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cvat_bridge.sandbox.web.errors import forbidden, invalid


class FieldError(ValueError):
    """What is wrong with one field: text, or faults by index or field inside it."""

    def __init__(self, fault: str | Mapping[Any, Any] | Sequence[Any]) -> None:
        self.fault: Any = [fault] if isinstance(fault, str) else fault
        super().__init__(str(fault))


Check = Callable[[Any], Any]
_TRUE = {True, "true", "True", "1", "on", "yes"}
_FALSE = {False, "false", "False", "0", "off", "no", ""}


def text(longest: int | None = None, *, blank: bool = True) -> Check:
    """Take a string (numbers become one)."""

    def check(value: Any) -> str:
        if isinstance(value, (bool, list, dict)):
            raise FieldError("Not a valid string.")
        given = str(value).strip()
        if not given and not blank:
            raise FieldError("This field may not be blank.")
        if longest is not None and len(given) > longest:
            raise FieldError(f"Ensure this field has no more than {longest} characters.")
        return given

    return check


def _bounded(value: float, least: float | None, most: float | None) -> None:
    if least is not None and value < least:
        raise FieldError(f"Ensure this value is greater than or equal to {least}.")
    if most is not None and value > most:
        raise FieldError(f"Ensure this value is less than or equal to {most}.")


def integer(least: int | None = None, most: int | None = None) -> Check:
    """Take a whole number, also as text."""

    def check(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, (int, str)) else None
        except ValueError:
            number = None
        if number is None and isinstance(value, float) and value.is_integer():
            number = int(value)
        if number is None or isinstance(value, bool):
            raise FieldError("A valid integer is required.")
        _bounded(number, least, most)
        return number

    return check


def number(least: float | None = None, most: float | None = None) -> Check:
    """Take a number, also as text."""

    def check(value: Any) -> float:
        try:
            given = float(value)
        except (TypeError, ValueError) as error:
            raise FieldError("A valid number is required.") from error
        if math.isnan(given):
            raise FieldError("A valid number is required.")
        _bounded(given, least, most)
        return value if isinstance(value, int) else given

    return check


def boolean(value: Any) -> bool:
    """Take true or false in any of the spellings that forms send."""
    if isinstance(value, (list, dict)) or (value not in _TRUE and value not in _FALSE):
        raise FieldError("Must be a valid boolean.")
    return value in _TRUE


def choice(*allowed: str) -> Check:
    """Take one of these strings."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise FieldError(f'"{value}" is not a valid choice.')
        return value

    return check


def moment(value: Any) -> str:
    """Take an ISO date and time."""
    try:
        datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise FieldError(
            "Datetime has wrong format. Use one of these formats instead: "
            "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
        ) from error
    return str(value)


def nullable(check: Check) -> Check:
    """Take null too."""
    return lambda value: None if value is None else check(value)


def many(check: Check, *, empty: bool = True) -> Check:
    """Take a list of what check takes; faults are by index."""

    def each(value: Any) -> list[Any]:
        if not isinstance(value, list):
            kind = type(value).__name__
            raise FieldError(f'Expected a list of items but got type "{kind}".')
        if not value and not empty:
            raise FieldError("This list may not be empty.")
        taken, faults = [], {}
        for index, item in enumerate(value):
            try:
                taken.append(check(item))
            except FieldError as error:
                faults[str(index)] = error.fault
        if faults:
            raise FieldError(faults)
        return taken

    return each


def objects(checks: Mapping[str, Check], *, required: Sequence[str] = ()) -> Check:
    """Take a list of objects; faults are one object an item, empty where it was fine."""

    def each(value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            kind = type(value).__name__
            raise FieldError(
                {"non_field_errors": [f'Expected a list of items but got type "{kind}".']}
            )
        taken: list[dict[str, Any]] = []
        faults: list[Any] = []
        for item in value:
            found, wrong = examine(item, checks, required=required)
            taken.append(found)
            faults.append(wrong)
        if any(faults):
            raise FieldError(faults)
        return taken

    return each


def examine(
    value: Any, checks: Mapping[str, Check], *, required: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the known fields that are present, checked, and the faults by field."""
    if not isinstance(value, dict):
        kind = type(value).__name__
        text = f"Invalid data. Expected a dictionary, but got {kind}."
        return {}, {"non_field_errors": [text]}
    taken: dict[str, Any] = {}
    faults: dict[str, Any] = {}
    for name, check in checks.items():
        if name not in value:
            if name in required:
                faults[name] = ["This field is required."]
            continue
        try:
            if value[name] is None and check(None) is not None:
                raise FieldError("This field may not be null.")  # noqa: TRY301  one handler below
            taken[name] = None if value[name] is None else check(value[name])
        except FieldError as error:
            null = value[name] is None
            faults[name] = ["This field may not be null."] if null else error.fault
    return taken, faults


def take(
    body: Any, checks: Mapping[str, Check], *, required: Sequence[str] = (), closed: bool = False
) -> dict[str, Any]:
    """Return the checked fields; ApiError 400 with every fault.

    closed: a field that is not in checks is the 403 that CVAT answers to such a PATCH.
    """
    if closed and isinstance(body, dict) and set(body) - set(checks):
        raise forbidden("Attempted to update an unknown field")
    taken, faults = examine(body, checks, required=required)
    if faults:
        raise invalid(faults)
    return taken
