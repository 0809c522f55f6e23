"""Output of the commands: bars and tables for people, JSON lines for machines."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from rich.table import Table

from trainer import terminal
from trainer.detector import Progress
from trainer.errors import TrainerError
from trainer.events import as_json, error_json, step_json
from trainer.scores import Evaluation
from trainer.terminal import PlainConsole

Report = Callable[[Progress], None]

_PERIOD = 0.2  # seconds between two progress lines of a stage


class JsonLines:
    """Write JSON lines to standard output; everything else that is printed goes to standard error.

    Libraries print to standard output, also from C++; readers of the JSON lines must not see it.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._told: dict[str, float] = {}

    def write(self, event: str, values: Mapping[str, Any]) -> None:
        """Write {"event": event, …} on a line of its own, at once."""
        self._out.write(json.dumps({"event": event, **as_json(values)}) + "\n")
        self._out.flush()

    def progress(self, step: Progress) -> None:
        """Write a step; steps in quick succession are skipped, except the last one of a stage."""
        if step.note:
            self.write("note", {"text": step.note})
            return
        now = time.monotonic()
        if step.done < step.total and now - self._told.get(step.stage, -math.inf) < _PERIOD:
            return
        self._told[step.stage] = now
        self.write("progress", step_json(step))

    def error(self, error: BaseException) -> None:
        """Write an error; kind is its class."""
        self.write("error", error_json(error))


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Draw a bar for each stage on standard error."""
    console = PlainConsole(stderr=True)
    with terminal.bars(console, transient=False) as show:

        def show_step(step: Progress) -> None:
            if step.note:
                console.print(f"note: {step.note}", markup=False, highlight=False)
                return
            figures = "  ".join(f"{k} {v:.4g}" for k, v in step.figures.items())
            show(step.stage, total=step.total, done=step.done, figures=figures)

        yield show_step


def evaluation_table(evaluation: Evaluation, title: str) -> Table:
    """Return a table of AP and AP50, overall and by class, and mean IoU of a semantic model."""
    caption = None if evaluation.miou is None else f"mIoU of pixels {evaluation.miou:.3f}"
    table = Table("", "objects", "AP", "AP50", title=title, caption=caption)
    overall = evaluation.overall
    table.add_row(
        "all", str(sum(evaluation.objects.values())), _figure(overall.ap), _figure(overall.ap50)
    )
    for name, count in evaluation.objects.items():
        ap, ap50 = overall.class_ap[name], overall.class_ap50[name]
        table.add_row(name, str(count), _figure(ap), _figure(ap50))
    return table


def print_error(error: TrainerError) -> None:
    """Print an error for people on standard error."""
    console = PlainConsole(stderr=True, highlight=False)
    console.print(f"[red]{type(error).__name__}[/red]", end=" ")
    console.print(str(error), markup=False)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
