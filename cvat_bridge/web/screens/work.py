"""What is under way: the step of a round, and fits with their progress."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.errors import NothingToDoError
from cvat_bridge.ledger.records import Round
from cvat_bridge.web.screens.bar import STEPS
from cvat_bridge.web.sites import CurrentActivity
from trainer.events import EVENTS
from trainer.runs.run_folder import STOP, stop_fit
from trainer.runs.small_files import is_running, read_json

_RUN = re.compile(r"\w[\w.-]{0,99}")  # one folder's name, so that no path leads elsewhere
_TAIL = 64 << 10  # bytes of an event stream that are read for its last line


@dataclass(frozen=True)
class Work:
    """Something under way. run: of a fit, which can be stopped; "" for other steps.

    done, total: 0 where the step does not count. stopping: a person asked it to end. figures: as
    last measured by a fit.
    """

    title: str
    stage: str
    done: int
    total: int
    seconds_left: float | None
    run: str
    stopping: bool
    figures: dict[str, float]

    @property
    def share(self) -> float | None:
        """How far it is, 0..1; None where that is not known."""
        return min(1.0, self.done / self.total) if self.total > 0 else None


def work_of(runs: Path, last: Round | None, doing: CurrentActivity | None) -> tuple[Work, ...]:
    """Return what is under way, fits first."""
    fits = [_fit(path) for path in sorted(runs.glob("*/")) if is_running(path)]
    busy = last is not None and last.state not in ("done", "fit") and not last.waits_for
    if last is None or not busy:
        return tuple(fits)
    step = STEPS.get(last.state, last.state)
    counts = doing is not None and doing.stage != ""
    return (
        *fits,
        Work(
            f"Round {last.number} {step}",
            doing.stage if doing is not None and counts else "",
            doing.done if doing is not None and counts else 0,
            doing.total if doing is not None and counts else 0,
            None,
            "",
            stopping=False,
            figures={},
        ),
    )


def stop_run(runs: Path, run: str) -> str:
    """Ask a fit to end after the step at work and keep what it learnt; say so.

    Raises NothingToDoError where no such fit is under way.
    """
    folder = runs / run
    if (
        not _RUN.fullmatch(run)
        or not folder.is_dir()
        or not is_running(folder)
        or not stop_fit(folder)
    ):
        raise NothingToDoError(f"{run} is not under way any more: it has ended, or never began")
    return f"{run} was asked to stop. It ends after the step at work, and what it learnt is kept."


def _fit(path: Path) -> Work:
    last = _last_progress(path / EVENTS)
    request = read_json(path / "request.json") or {}
    figures = {
        str(name): float(value)
        for name, value in (last.get("figures") or {}).items()
        if isinstance(value, (int, float))
    }
    return Work(
        f"Learns: {request.get('name') or path.name}",
        str(last.get("stage") or "starting"),
        int(last.get("done") or 0),
        int(last.get("total") or 0),
        last.get("seconds_left"),
        path.name,
        stopping=(path / "fit" / STOP).exists(),
        figures=figures,
    )


def _last_progress(path: Path) -> dict[str, Any]:
    """Return the last progress event; {} where there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "progress":
            return event
    return {}
