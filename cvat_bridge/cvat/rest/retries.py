"""How long we try: waits that grow, a bound on the whole, and what the server asks for."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from cvat_bridge.errors import UnreachableError

_UNTOLD = 2.0  # seconds of a wait that nobody need be told of
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long one operation may take, its repetitions and waits included.

    total: seconds in all. first, longest: seconds of the first and the longest wait; they double
    in between, each with a random part so that many clients do not come back at once.
    """

    total: float = 120.0
    first: float = 0.5
    longest: float = 15.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)


class Deadline:
    """The end of one operation."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._end = patience.clock() + patience.total

    def remaining(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._end - self.patience.clock())

    def pause(self, attempt: int, *, why: str, at_least: float = 0.0) -> bool:
        """Wait before another attempt (counted from 0), or say False where no time is left.

        why: what came instead of an answer; people are told it, with the time that is left, unless
        the waiting has only begun. at_least: seconds that the server asked for (Retry-After).
        """
        grown = min(self.patience.longest, self.patience.first * 2.0**attempt)
        wait = max(at_least, grown * random.uniform(0.5, 1.0))
        if wait >= self.remaining():
            return False
        if self.patience.total - self.remaining() + wait >= _UNTOLD:
            left = self.remaining()
            log.warning("CVAT does not answer (%s); trying again, %.0f s left", why, left)
        self.patience.sleep(wait)
        return True


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def bounded(patience: Patience) -> Iterator[Deadline]:
    """Bound everything inside by one deadline; a bound inside a bound shares the outer one."""
    outer = _current.get()
    deadline = outer or Deadline(patience)
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)


Made = TypeVar("Made")


def once(
    patience: Patience,
    look: Callable[[], Made | None],
    make: Callable[[], Made],
    *,
    tidy: Callable[[Made], None] = lambda _made: None,
) -> Made:
    """Find a thing on the server, or make it.

    After a failure that leaves open whether it was made, look tells. tidy: deletes what is there
    besides the thing that it is given, because the server carried out late what was given up;
    called after a failure only. Raises UnreachableError when patience ends, and what look, make
    and tidy raise besides.
    """
    with bounded(patience) as deadline:
        attempt = 0
        while True:
            found = look()
            try:
                made = make() if found is None else found
            except UnreachableError as error:
                if not deadline.pause(attempt, why=error.detail):
                    raise
                attempt += 1
                continue
            if attempt:
                tidy(made)
            return made
