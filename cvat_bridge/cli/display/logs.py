"""What is told on stderr beside the answer: the rounds' log, and warnings of our packages."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from cvat_bridge.secrecy import hide_in_log, without_secrets
from trainer.terminal import visible

PACKAGES = ("cvat_bridge", "serverless")


def warn_on_stderr() -> None:
    """Print warnings of our packages, such as "CVAT does not answer", a line each."""
    _hand_over(_Lines())


def log_to_stderr(*, json_lines: bool) -> None:
    """Log rounds and warnings to stderr, for people or as JSON lines."""
    import structlog

    renderer: Callable[..., Any] = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            hide_in_log,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    _hand_over(_Structured())


def _hand_over(handler: logging.Handler) -> None:
    handler.setLevel(logging.WARNING)
    for package in PACKAGES:
        logging.getLogger(package).handlers = [handler]


class _Lines(logging.Handler):
    """A line a warning, to whatever stderr is at that moment (a progress bar may hold it)."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(visible(without_secrets(record.getMessage())) + "\n")


class _Structured(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        import structlog

        structlog.get_logger(record.name).warning(record.getMessage())
