"""The name that a person may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

_FEW = 12  # names that a person reads through


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a clause that names the nearest of the known names, and all where they are few."""
    near = difflib.get_close_matches(str(name).lower(), list(known), n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(map(repr, near[:1] if len(known) <= _FEW else near))}?"
    if near and len(known) > _FEW:
        return guess
    return f"{guess + ' ' if near else ''}there are {', '.join(sorted(known))}"
