"""How often somebody may try to sign in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

FAILURES, WITHIN = 6, 60.0  # seconds
_MOST = 10_000  # names remembered


class Attempts:
    """Counts failures by name and by caller. clock: seconds, rising."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._failed: dict[str, deque[float]] = {}

    def wait(self, *keys: str) -> float:
        """Return the seconds until one of these may try again, 0 for now."""
        with self._lock:
            return max((self._left(key) for key in keys), default=0.0)

    def failed(self, *keys: str) -> None:
        """Take note of a failure."""
        with self._lock:
            if len(self._failed) > _MOST:
                self._failed.clear()
            for key in keys:
                self._failed.setdefault(key, deque(maxlen=FAILURES)).append(self._clock())

    def _left(self, key: str) -> float:
        times = self._failed.get(key)
        if times is None or len(times) < FAILURES:
            return 0.0
        return max(0.0, times[0] + WITHIN - self._clock())
