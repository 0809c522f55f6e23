"""A fit on another machine is shown on this one as its own are: progress, figures, stopping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.detector import Progress
from trainer.events import EventLog
from trainer.runs.run_folder import STOP, locked
from trainer.runs.small_files import read_json, write_json

_REQUEST, _MARK = "request.json", "elsewhere"


@dataclass
class Shown:
    """The folder of a fit that learns elsewhere, as `watch` and the page read it."""

    folder: Path
    _events: EventLog
    _last: Mapping[str, Any] | None = None

    @property
    def is_to_stop(self) -> bool:
        """Whether somebody asked here to stop it."""
        return (self.folder / "fit" / STOP).exists()

    def record(self, doing: Mapping[str, Any]) -> bool:
        """Write what the worker says of it; return whether that is news."""
        if doing == self._last:
            return False
        self._last = dict(doing)
        figures = {str(k): float(v) for k, v in (doing.get("figures") or {}).items()}
        self._events.progress(
            Progress(str(doing["stage"]), int(doing["done"]), int(doing["total"]), figures=figures)
        )
        return True


@contextmanager
def shown_here(folder: Path, name: str) -> Iterator[Shown]:
    """Show a fit in its folder while it learns elsewhere; the folder holds no request after that.

    Raises TrainingError where a fit of this machine is under way in it.
    """
    (folder / "fit").mkdir(parents=True, exist_ok=True)
    with locked(folder, name):
        forget(folder)
        write_json(folder / _REQUEST, {"name": name, _MARK: True})
        try:
            yield Shown(folder, EventLog(folder))
        finally:
            forget(folder)
            (folder / "fit" / STOP).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove what a killed service left of a fit elsewhere, so that one here may begin."""
    request = read_json(folder / _REQUEST)
    if isinstance(request, dict) and request.get(_MARK):
        (folder / _REQUEST).unlink()
