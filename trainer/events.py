"""The event stream of a run: JSON lines in <run>/events.jsonl, flushed at once, for any reader.

Each line is {"event", "at", …}: "begun" (backend, data, config), "note" (text), "progress" (stage,
done, total, seconds_left, figures, picture), "done" (see run.Outcome.to_json) and "error" (kind,
message, faults). A resumed run appends to the same file.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from trainer.data.files import parse_json
from trainer.detector import Progress

EVENTS = "events.jsonl"
_PERIOD = 0.2  # seconds between two progress lines of a stage
_POLL = 0.3  # seconds between polls of a followed file
_ENDS = ("done", "error")


class EventLog:
    """Write the events of a run. run: its folder, which must exist."""

    def __init__(self, run: Path) -> None:
        self._path = run / EVENTS
        self._written: dict[str, float] = {}
        if _cut_off(self._path):
            self._append("\n")

    def write(self, event: str, values: Mapping[str, Any]) -> None:
        """Append a line by a single write, so that readers never see half a line."""
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._append(json.dumps({"event": event, "at": at, **as_json(values)}) + "\n")

    def progress(self, step: Progress) -> None:
        """Write a step; steps in quick succession are skipped, except the last one of a stage."""
        if step.note:
            self.write("note", {"text": step.note})
            return
        now = time.monotonic()
        soon = now - self._written.get(step.stage, -math.inf) < _PERIOD
        if soon and step.done < step.total and step.picture is None:
            return
        self._written[step.stage] = now
        self.write("progress", step_json(step))

    def error(self, error: BaseException) -> None:
        """Write the error that ended the run; kind is its class."""
        self.write("error", error_json(error))

    def _append(self, text: str) -> None:
        # One write to a file opened for appending: lines of two processes never mix.
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def _cut_off(path: Path) -> bool:
    """Return whether a killed process left a truncated line."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def follow(
    run: Path, *, past: bool = True, alive: Callable[[], bool] = lambda: True
) -> Iterator[dict[str, Any] | None]:
    """Yield the events of a run as they arrive, until it is done or failed; None at each idle poll.

    past: whether to start with the events already written. alive: called when there is nothing new;
    following ends when it returns False. A run whose file does not exist yet is waited for.
    """
    path, place = run / EVENTS, 0
    if not past and path.exists():
        place = path.stat().st_size
    while True:
        lines, place = _lines_from(path, place)
        for number, line in enumerate(lines):
            yield line
            if line["event"] in _ENDS and number == len(lines) - 1:
                return
        if lines:
            continue
        if not alive():
            return
        yield None
        time.sleep(_POLL)


def read_events(run: Path) -> list[dict[str, Any]]:
    """Return all complete lines so far; empty for a run that has not started."""
    return _lines_from(run / EVENTS, 0)[0]


def _lines_from(path: Path, place: int) -> tuple[list[dict[str, Any]], int]:
    try:
        with path.open("rb") as file:
            file.seek(place)
            whole, _, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], place
    if not whole:
        return [], place
    found = []
    for line in whole.split(b"\n"):
        try:
            found.append(parse_json(line))
        except ValueError:  # a truncated line left by a killed process
            continue
    return [line for line in found if isinstance(line, dict) and "event" in line], (
        place + len(whole) + 1
    )


def step_json(step: Progress) -> dict[str, Any]:
    """Return a step as JSON values."""
    values: dict[str, Any] = {
        "stage": step.stage,
        "done": step.done,
        "total": step.total,
        "seconds_left": step.seconds_left,
        "figures": dict(step.figures),
    }
    return values | ({} if step.picture is None else {"picture": str(step.picture)})


def step_of(event: Mapping[str, Any]) -> Progress:
    """Return the step that a "progress" or "note" event describes."""
    if event["event"] == "note":
        return Progress("note", 0, 0, note=event["text"])
    figures = {name: value for name, value in event["figures"].items() if value is not None}
    picture = None if event.get("picture") is None else Path(event["picture"])
    return Progress(
        event["stage"], event["done"], event["total"], event["seconds_left"], figures, picture
    )


def error_json(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON values."""
    values: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    faults = getattr(error, "faults", None)
    return values | ({"faults": list(faults)} if faults else {})


def as_json(value: Any) -> Any:
    """Convert a value to JSON; NaN and infinity, which JSON lacks, become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
