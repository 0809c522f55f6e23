"""End a fit when its parent process ends, so that a killed service leaves no fit running."""

from __future__ import annotations

import os
import signal
import threading
import time

_PERIOD = 0.5  # seconds between checks


def end_with_parent(parent: int | None = None) -> None:
    """Send SIGTERM to this process soon after its parent has ended.

    parent: its process id, if known; then a parent that ended before this call is noticed too.
    Polls twice a second instead of using PR_SET_PDEATHSIG: that signal is sent when the *thread*
    that started us ends, and services start us from worker threads.
    """
    expected = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(_PERIOD)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
