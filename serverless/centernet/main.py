"""Nuclio's entry point for a bundle of engine centernet; the work is in serverless.handler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serverless.handler import make_handler

if TYPE_CHECKING:
    from nuclio_sdk import Context, Event, Response

_start, _answer = make_handler(Path(__file__).with_name("function.yaml"))


# Nuclio looks for init_context in the module that the handler was defined in.
def init_context(context: Context) -> None:
    """Load the model once, before the worker's first event."""
    _start(context)


def handler(context: Context, event: Event) -> Response:
    """Answer one event."""
    return _answer(context, event)
