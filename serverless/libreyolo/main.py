"""Nuclio's entry point for a bundle of engine libreyolo; the work is in serverless.handler."""

from pathlib import Path
from typing import Any

from serverless.handler import make_handler

_start, _answer = make_handler(Path(__file__).with_name("function.yaml"))


# Nuclio looks for init_context in the module that the handler was defined in.
def init_context(context: Any) -> None:
    """Load the model once, before the worker's first event."""
    _start(context)


def handler(context: Any, event: Any) -> Any:
    """Answer one event."""
    return _answer(context, event)
