"""What only some systems offer, with what takes its place on the others."""

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
    """Return how many cores this process may use; all of the machine's where nobody tells.

    affinity: os.sched_getaffinity, None on systems without it (macOS).
    """
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def memory_handle(size: int, *, create: Callable[[str, int], int] | None = _MEMORY_FILE) -> int:
    """Open a nameless piece of memory that two processes can map; its handle is the caller's.

    size: bytes. create: os.memfd_create, None on systems without it (macOS): a temporary file
    without a name takes its place. Raises OSError when there is no room.
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
    """Bound what this process may take. kind: a resource.RLIMIT_… of both systems.

    Linux holds it or OSError or ValueError is raised; other systems may refuse some kinds, and
    then go without.
    """
    if system == "linux":
        resource.setrlimit(kind, (most, most))
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))
