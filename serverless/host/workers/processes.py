"""No model's process may start another one: Linux is told to refuse it, by a filter of calls.

RLIMIT_NPROC counts all processes of a user, whoever started them, and threads among them; a worker
needs threads, and a limit of its own. Threads are limited by the memory of their stacks.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # of prctl
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06  # of the filter's machine
_AT_NUMBER, _AT_MACHINE, _AT_ARGUMENT = 0, 4, 16  # where struct seccomp_data has them
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_THREAD = 0x00010000  # CLONE_THREAD

Step = tuple[int, int, int, int]  # operation, steps to skip if it holds, if not, operand


@dataclass(frozen=True)
class _Machine:
    """Numbers of system calls. starts: those that make or become a process in any case."""

    audit: int
    starts: tuple[int, ...]
    clone: int
    clone3: int


_MACHINES = {
    # fork, vfork, execve, execveat
    "x86_64": _Machine(0xC000003E, (57, 58, 59, 322), 56, 435),
    # execve, execveat
    "aarch64": _Machine(0xC00000B7, (221, 281), 220, 435),
}


def forbid() -> str:
    """Let this process start threads only, from now on. Returns why it cannot be done, or ""."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform == "linux" and machine is not None:
        program = b"".join(struct.pack("=HBBI", *step) for step in _program(machine))
        kept = ctypes.create_string_buffer(program)
        filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
            _SECCOMP, _FILTER, filters, 0, 0
        ):
            return os.strerror(ctypes.get_errno())
        return ""
    return f"not known how on {sys.platform}, {platform.machine()}"


def _program(machine: _Machine) -> list[Step]:
    refuse = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    steps: list[Step] = [
        (_LOAD, 0, 0, _AT_MACHINE),
        (_EQUAL, 1, 0, machine.audit),
        refuse,  # a call in another machine's manner
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    for number in machine.starts:
        steps += [(_EQUAL, 0, 1, number), refuse]
    return [
        *steps,
        # Its flags lie in memory, which a filter cannot read; the C library then takes clone.
        (_EQUAL, 0, 1, machine.clone3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_EQUAL, 1, 0, machine.clone),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _AT_ARGUMENT),
        (_ANY_BIT, 1, 0, _THREAD),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
