"""A fit as people follow it: steps, loss, AP on the val part, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.progress import EventCallback
from trainer.events import read_events
from trainer.runs.small_files import is_running

_EVERY = 15.0  # seconds between two lines of a fit


@dataclass
class FitProgress:
    """Hears the events of a fit (see trainer.events) and keeps what is told of it.

    seconds_left: an estimate, None while there is none. loss, ap: the newest.
    """

    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    loss: float | None = None
    ap: float | None = None

    def hear(self, event: Mapping[str, Any]) -> bool:
        """Take note of an event; return whether it was one of learning."""
        if event.get("event") != "progress" or event.get("stage") not in ("fit", "val"):
            return False
        figures = event.get("figures") or {}
        if event["stage"] == "fit":
            self.done, self.total = int(event["done"]), int(event["total"])
            self.seconds_left = event.get("seconds_left")
            self.loss = figures.get("loss", self.loss)
        else:
            self.ap = figures.get("ap", self.ap)
        return True

    @property
    def figures(self) -> str:
        """Loss, AP and time left in words: "loss 1.23, AP 0.412, 40 s left"."""
        items = []
        if self.loss is not None:
            items.append(f"loss {self.loss:.3g}")
        if self.ap is not None:
            items.append(f"AP {self.ap:.3f}")
        if self.seconds_left is not None:
            items.append(f"{duration(self.seconds_left)} left")
        return ", ".join(items)

    def __str__(self) -> str:
        steps = f"step {self.done} of {self.total}"
        return f"{steps}, {self.figures}" if self.figures else steps


def fit_lines(
    say: Callable[[str], None],
    *,
    every: float = _EVERY,
    clock: Callable[[], float] = time.monotonic,
) -> EventCallback:
    """Return what says a line of a fit at its first step, then every so many seconds.

    A look at the val part, which brings an AP, and the last step are always said.
    """
    fit, last = FitProgress(), [-every]

    def on_event(event: Mapping[str, Any]) -> None:
        if not fit.hear(event):
            return
        due = clock() - last[0] >= every or fit.done >= fit.total
        if fit.total and (due or (event["stage"] == "val" and event["done"] >= event["total"])):
            last[0] = clock()
            say(str(fit))

    return on_event


def current_fit(runs: Path) -> tuple[str, FitProgress] | None:
    """Return the run that a process learns in now and how far it is; None where none does.

    runs: the folder of the runs' folders. Of several, that which was begun last.
    """
    at_work = [path for path in runs.glob("*/lock") if is_running(path.parent)]
    if not at_work:
        return None
    run = max(at_work, key=lambda path: path.stat().st_mtime).parent
    learning = FitProgress()
    for event in read_events(run):
        learning.hear(event)
    return run.name, learning


def duration(seconds: float) -> str:
    """Say a time in words: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
