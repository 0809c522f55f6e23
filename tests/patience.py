"""Time limits of tests that grow with what else the machine does.

A limit says what is reasonable on a machine that is idle. On one with many processes at work the
same code takes as many times longer as there are processes to a core.
"""

from __future__ import annotations

import os


def patience(seconds: float) -> float:
    """Return a limit in seconds of the clock, at least twice what an idle machine is given."""
    waiting, _, _ = os.getloadavg()
    return seconds * max(2.0, 2.0 * waiting / (os.cpu_count() or 1))
