"""Progress where a person looks: one bar a stage, on stderr; a fit with its loss and AP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from rich.console import Console

from cvat_bridge.loop.live_status.fit_progress import FitProgress, fit_lines
from cvat_bridge.progress import EventCallback, Report, ignore_event, quiet
from trainer import terminal


@dataclass(frozen=True)
class ProgressOutput:
    """What tells a person how far things are: of a step, and of a fit."""

    report: Report = quiet
    learning: EventCallback = ignore_event


@contextmanager
def progress_bars(console: Console) -> Iterator[Report]:
    """Draw a bar for each stage that is told of."""
    with fit_bars(console) as shown:
        yield shown.report


@contextmanager
def fit_bars(console: Console) -> Iterator[ProgressOutput]:
    """Draw a bar for each stage, and beside that of a fit its loss and AP."""
    with terminal.bars(console, transient=True) as show:
        fit = FitProgress()

        def show_stage(stage: str, done: int, total: int) -> None:
            show(stage, total=total, done=done)

        def learning(event: Mapping[str, Any]) -> None:
            if fit.hear(event):
                show("fit", total=fit.total, figures=FitProgress(loss=fit.loss, ap=fit.ap).figures)

        yield ProgressOutput(show_stage, learning)


@contextmanager
def fit_log() -> Iterator[ProgressOutput]:
    """Log a fit, a line every so often: for a file or a pipe, and for machines."""
    log = structlog.get_logger("round")
    yield ProgressOutput(learning=fit_lines(lambda line: log.info("learning", progress=line)))


@contextmanager
def silence() -> Iterator[Report]:
    """Draw nothing."""
    yield quiet
