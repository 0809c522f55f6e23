"""What is printed for people: names and addresses as text, whatever they hold.

A class may be called `[red]`, `:warning:` or hold codes that move a terminal's cursor, and an
address of a database may hold its password.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

HIDDEN = "***"
_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+@", re.IGNORECASE)
_KEPT = "\n\t"


def without_credentials(text: str) -> str:
    """Return a text whose addresses name neither user nor password: "https://***@host"."""
    return _CREDENTIALS.sub(rf"\g<scheme>{HIDDEN}@", text)


def visible(text: str) -> str:
    """Return a text with every control character, and every one that turns text, as its escape."""
    if text.isprintable():
        return text
    return "".join(
        f"\\x{ord(sign):02x}"
        if unicodedata.category(sign) in ("Cc", "Cf") and sign not in _KEPT
        else sign
        for sign in text
    )


class PlainConsole(Console):
    """A console that prints texts as `visible` and `without_credentials` give them, no emoji."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"emoji": False, **settings})

    def render_str(self, text: str, **settings: Any) -> Text:
        """Render a text; what `print` and the cells of tables go through."""
        return super().render_str(visible(without_credentials(text)), **settings)

    def print_json(self, json: str | None = None, **settings: Any) -> None:
        """Print JSON, in which control characters are escaped already."""
        super().print_json(None if json is None else without_credentials(json), **settings)


# What commands print to: results, and all else that is said to a person.
out = PlainConsole(soft_wrap=True)
err = PlainConsole(stderr=True, soft_wrap=True)
