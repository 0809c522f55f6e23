"""What only Linux offers is asked for where it is there, and has a stand-in on macOS."""

from __future__ import annotations

import ast
import mmap
import os
from collections.abc import Iterator

import pytest

from tests.imports import PACKAGES, ROOT, modules
from trainer.machine.portable import limit, memory_handle, usable_cores

# Of os, resource, signal and ctypes' C library: not on macOS, or without effect there.
LINUX_ALONE = frozenset(
    {
        *("sched_getaffinity", "sched_setaffinity", "memfd_create", "MFD_CLOEXEC", "prctl"),
        *("pidfd_open", "eventfd", "epoll", "posix_fadvise", "posix_fallocate", "unshare"),
        *("setns", "splice", "copy_file_range", "getrandom", "RLIMIT_DATA", "O_TMPFILE"),
        *("setresuid", "setresgid", "preadv", "pwritev", "sync_file_range"),
    }
)


def _unguarded(source: str) -> Iterator[str]:
    """Yield name:line of each such name, or path under /proc, that nothing stands guard over."""
    tree = ast.parse(source)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Attribute) and node.attr in LINUX_ALONE:
            name = node.attr
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith("/proc/")
        ):
            name = node.value
        if name and not _guarded(node, above, path=name.startswith("/")):
            yield f"{name}:{node.lineno}"


def _guarded(node: ast.AST, above: dict[ast.AST, ast.AST], *, path: bool) -> bool:
    while node in above:
        node = above[node]
        if isinstance(node, (ast.If, ast.IfExp)) and "sys.platform" in ast.unparse(node.test):
            return True
        if path and isinstance(node, ast.Try) and any(h.type for h in node.handlers):
            return True
        if path and isinstance(node, ast.FunctionDef):
            said = ast.unparse(node)
            return ".exists()" in said or "on Linux alone" in said
    return False


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_that_only_linux_has_is_used_without_asking(package):
    found = [
        f"{path.relative_to(ROOT)}:{name}"
        for path in modules(package)
        for name in _unguarded(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_the_check_sees_what_it_is_to_see():
    bare = "import os\ncores = os.sched_getaffinity(0)\ntext = open('/proc/self/stat').read()\n"
    asked = "import sys, os\nif sys.platform == 'linux':\n    cores = os.sched_getaffinity(0)\n"

    assert list(_unguarded(bare)) == ["sched_getaffinity:2", "/proc/self/stat:3"]
    assert list(_unguarded(asked)) == []


def test_without_affinity_all_cores_count():
    assert usable_cores(affinity=lambda _: {0, 3}) == 2
    assert usable_cores(affinity=None) == os.cpu_count()


@pytest.mark.parametrize("create", [None, getattr(os, "memfd_create", None)])
def test_two_maps_of_a_memory_handle_are_one_memory(create):
    handle = memory_handle(8192, create=create)
    try:
        with mmap.mmap(handle, 8192) as one, mmap.mmap(handle, 8192) as other:
            one[4096:4100] = b"seen"
            assert other[4096:4100] == b"seen"
    finally:
        os.close(handle)


def test_a_limit_that_a_system_refuses_is_an_error_on_linux_alone():
    limit(-1, 1, system="darwin")

    with pytest.raises(ValueError, match="resource"):
        limit(-1, 1, system="linux")
