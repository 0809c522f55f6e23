"""Many classes with one fate are one line, not one each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MOST = 5  # names that a line holds


def join_names(names: Sequence[str], most: int = MOST) -> str:
    """Return the first names, and how many there are besides."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the classes of each reason, in the order given; a reason may name its class."""
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason.replace(f"--map {name}=", "--map CLASS="), []).append(name)
    return found


def not_written(reasons: Mapping[str, str], counts: Mapping[str, int]) -> list[str]:
    """Return which classes were not written and why: a line a reason, the commonest class first."""
    lines = []
    for reason, names in by_reason(reasons).items():
        if len(names) == 1:
            (name,) = names
            count = counts.get(name, 0)
            lines.append(f"class {name}: {count} objects not written: {reasons[name]}")
            continue
        names.sort(key=lambda name: -counts.get(name, 0))
        total = sum(counts.get(name, 0) for name in names)
        each = [f"{name} ({counts.get(name, 0)})" for name in names]
        lines.append(
            f"{len(names)} classes: {total} objects not written: {join_names(each)}: {reason}"
        )
    return lines
