"""Printing for people: names and URLs appear as plain text, whatever they contain.

A class may be called `[red]` or `:warning:`, or contain codes that move a terminal's cursor, and
the URL of a database may contain its password.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

HIDDEN = "***"
_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+@", re.IGNORECASE)
# A server that prints in its error what it was sent prints how we signed in.
_HEADER = re.compile(
    r"""(?P<name>authorization["'\\]{0,3}\s{0,2}[:=]\s{0,2}["'\\]{0,3}"""
    r"""(?:(?:basic|bearer|token|digest)\s+)?)[\w+/=.~-]+""",
    re.IGNORECASE,
)
_KEPT = "\n\t"
_BAR = 20  # characters, so that the metrics fit beside it within 80


def without_credentials(text: str) -> str:
    """Return a text without the user and password of addresses, and without what signs a request.

    "https://***@host", "Authorization: Basic ***".
    """
    hidden = _CREDENTIALS.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _HEADER.sub(rf"\g<name>{HIDDEN}", hidden)


def visible(text: str) -> str:
    """Return a text with control and direction characters as escapes."""
    if text.isprintable():
        return text
    return "".join(
        f"\\x{ord(sign):02x}"
        if unicodedata.category(sign) in ("Cc", "Cf") and sign not in _KEPT
        else sign
        for sign in text
    )


class PlainConsole(Console):
    """A console that prints texts through `visible` and `without_credentials`, without emoji."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"emoji": False, **settings})

    def render_str(self, text: str, **settings: Any) -> Text:
        """Render a text; `print` and the cells of tables go through this method."""
        return super().render_str(visible(without_credentials(text)), **settings)

    def print_json(self, json: str | None = None, **settings: Any) -> None:
        """Print JSON, in which control characters are already escaped."""
        super().print_json(None if json is None else without_credentials(json), **settings)


# Consoles of the commands: results, and messages for people.
out = PlainConsole(soft_wrap=True)
err = PlainConsole(stderr=True, soft_wrap=True)


class Stages(Protocol):
    """Update the bar of a stage; omitted values stay unchanged."""

    def __call__(
        self, stage: str, *, total: int, done: int | None = None, figures: str | None = None
    ) -> None:
        """Show the progress of the stage, and a text beside its bar."""


@contextmanager
def bars(console: Console, *, transient: bool) -> Iterator[Stages]:
    """Draw a bar for each reported stage. transient: whether to remove them at the end."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=_BAR),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[figures]}"),
    )
    with progress.Progress(*columns, console=console, transient=transient) as drawn:
        rows: dict[str, progress.TaskID] = {}

        def show(
            stage: str, *, total: int, done: int | None = None, figures: str | None = None
        ) -> None:
            if stage not in rows:
                rows[stage] = drawn.add_task(stage, total=total, figures="")
            drawn.update(rows[stage], completed=done, total=total)
            if figures is not None:
                drawn.update(rows[stage], figures=figures)

        yield show
