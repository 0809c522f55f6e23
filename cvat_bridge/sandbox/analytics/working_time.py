"""Working time, as CVAT computes it from the events that the editor sends. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

Ids = tuple[int | None, int | None, int | None]  # job, task, project
_LONGEST = timedelta(seconds=100)  # a longer pause between two events is no work
_COMPRESSED = frozenset({"change:frame"})  # scopes whose events last


def working_time(
    events: Sequence[Mapping[str, Any]], previous: Mapping[str, Any] | None
) -> dict[Ids, tuple[timedelta, datetime]]:
    """Return the time worked and when it was counted, by what the event before was about.

    events: with "timestamp" as a datetime. previous: the last event of the message before.
    """
    if not events:
        return {}
    first = previous or events[0]
    until = _end(first) if previous else first["timestamp"]
    ids = _ids(first)
    found: dict[Ids, tuple[timedelta, datetime]] = {}
    for event in events:
        worked, at = timedelta(), event["timestamp"]
        if at > until:
            worked += at - until if at - until < _LONGEST else timedelta()
            until = at
        if (end := _end(event)) > until:
            worked += end - until
            until = end
        total, since = found.get(ids, (timedelta(), at))
        found[ids] = total + worked, since
        ids = _ids(event)
    return found


def _end(event: Mapping[str, Any]) -> datetime:
    at: datetime = event["timestamp"]
    lasts = event["scope"] in _COMPRESSED
    return at + timedelta(milliseconds=int(event.get("duration") or 0)) if lasts else at


def _ids(event: Mapping[str, Any]) -> Ids:
    return event.get("job_id"), event.get("task_id"), event.get("project_id")
