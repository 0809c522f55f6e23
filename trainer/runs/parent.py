"""Ending with the process that started us, so that a killed service leaves no fit behind."""

from __future__ import annotations

import os
import signal
import threading
import time

_PERIOD = 0.5  # seconds between looks


def end_with_parent(parent: int | None = None) -> None:
    """End this process by SIGTERM soon after its parent is gone.

    parent: its process id, where the caller knows it; then a parent that died before this call
    is noticed too. A look twice a second rather than PR_SET_PDEATHSIG: that signal comes when
    the *thread* that started us ends, and services start us from worker threads.
    """
    expected = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(_PERIOD)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
