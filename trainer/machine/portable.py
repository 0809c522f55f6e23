"""Features that only some operating systems have, with substitutes for the others."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress

_AFFINITY: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
_MEMORY_FILE: Callable[[str, int], int] | None = getattr(os, "memfd_create", None)


def usable_cores(*, affinity: Callable[[int], set[int]] | None = _AFFINITY) -> int:
    """Return how many cores this process may use; all of the machine's if unknown.

    affinity: os.sched_getaffinity, None on systems without it (macOS).
    """
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def memory_handle(size: int, *, create: Callable[[str, int], int] | None = _MEMORY_FILE) -> int:
    """Open an anonymous memory file that two processes can map; the caller owns the handle.

    size: bytes. create: os.memfd_create, None on systems without it (macOS): a temporary file
    without a name is used instead. Raises OSError when there is no space.
    """
    if create is not None:
        handle = create("memory", getattr(os, "MFD_CLOEXEC", 0))
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    try:
        os.ftruncate(handle, size)
    except OSError:
        os.close(handle)
        raise
    return handle


def limit(kind: int, most: int, *, system: str = sys.platform) -> None:
    """Limit a resource of this process. kind: a resource.RLIMIT_… of both systems.

    On Linux the limit is set or OSError or ValueError is raised; other systems may not support some
    kinds, which are then ignored.
    """
    if system == "linux":
        resource.setrlimit(kind, (most, most))
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))
