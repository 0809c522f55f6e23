"""A queue with one worker: what is put into it is done one after the other, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_SECONDS = 20.0  # that closing waits for what is under way


class Lane:
    """A thread that does what it is given, begun at first use. It keeps no process alive."""

    def __init__(self, name: str) -> None:
        self._name, self._waiting = name, deque[tuple[str, Callable[[], None]]]()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = ""
        self._closed = False

    def put(self, key: str, do: Callable[[], None]) -> None:
        """Queue something under its key. do: raises nothing."""
        with self._ready:
            if self._closed:
                return
            self._waiting.append((key, do))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._ready.notify()

    def before(self, key: str) -> tuple[str, ...]:
        """Return the keys that are done before this one, the one under way first."""
        with self._ready:
            keys = [self._busy, *(one for one, _ in self._waiting)]
            known = [one for one in keys if one]
            return tuple(known[: known.index(key)]) if key in known else ()

    def close(self) -> None:
        """Begin nothing more; wait a little for what is under way, which was told to end."""
        with self._ready:
            self._closed = True
            self._waiting.clear()
            self._ready.notify()
        if self._thread is not None:
            self._thread.join(_SECONDS)

    def _run(self) -> None:
        while True:
            with self._ready:
                self._busy = ""
                self._ready.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                self._busy, do = self._waiting.popleft()
            do()
