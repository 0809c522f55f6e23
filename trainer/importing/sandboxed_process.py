"""Run the code that opens untrusted files in a sandboxed process.

It gets no environment variable except PATH, a temporary home, no network, no view of other
processes, and no access to the hidden folders and the usual places of secrets. This requires Linux
namespaces, which a container may forbid; `sandbox_available` checks it.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_OUTER = (
    *("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"),
    # When it is killed at its time limit, its child processes end too.
    *("--kill-child", "--mount-proc"),
)
# An inner namespace cannot unmount what an outer one has mounted: without it the process
# could uncover the hidden folders.
_INNER = ("unshare", "--user", "--map-root-user", "--mount")
_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))
ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def sandbox_available() -> bool:
    """Return whether this system can isolate a process from network, processes and folders."""
    if shutil.which("unshare") is None:
        return False
    script = f"mount -t tmpfs none /mnt && exec {shlex.join(_INNER)} true"
    tried = subprocess.run(
        [*_OUTER, "sh", "-c", script], capture_output=True, check=False, timeout=30
    )
    return tried.returncode == 0


def run_sandboxed(
    command: Sequence[str],
    scratch: Path,
    *,
    hidden: Sequence[Path] = (),
    seconds: float,
    cut_off: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder scratch, which contains all its input files.

    hidden: folders that it must not see. cut_off: False gives it access to network, processes and
    files; its environment is still clean. Raises subprocess.TimeoutExpired after `seconds`.
    """
    asked = list(command)
    if cut_off:
        covers = [_hide_command(path) for path in sorted(_paths_to_hide(hidden, scratch))]
        script = " && ".join([*covers, f"exec {shlex.join([*_INNER, *asked])}"])
        asked = [*_OUTER, "sh", "-c", script]
    return subprocess.run(
        asked,
        env=clean_environment(scratch),
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def clean_environment(scratch: Path) -> dict[str, str]:
    """Return the complete environment of such a process."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONPATH": str(ROOT),
        "YOLO_CONFIG_DIR": str(scratch),
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _hide_command(path: Path) -> str:
    if path.is_dir():
        return f"mount -t tmpfs -o size=4k none {shlex.quote(str(path))}"
    return f"mount --bind /dev/null {shlex.quote(str(path))}"


def _paths_to_hide(hidden: Sequence[Path], scratch: Path) -> set[Path]:
    """Return the paths to hide: the folders, or the contents of one that Python or we need."""
    needed = {Path(p).resolve() for p in (ROOT, sys.prefix, sys.base_prefix, sys.executable)}
    needed |= {scratch.resolve(), Path("/usr"), Path("/proc"), Path("/dev")}

    def parts(path: Path) -> Iterator[Path]:
        path = path.resolve()
        if not path.exists() or any(path.is_relative_to(p) for p in needed):
            return
        if not any(p.is_relative_to(path) for p in needed):
            yield path
        elif path.is_dir() and path != Path("/"):
            for inner in path.iterdir():
                yield from parts(inner)

    found = {part for path in (*hidden, *_SECRETS, Path.home()) for part in parts(path)}
    # Paths inside a hidden folder no longer exist and cannot be covered.
    return {path for path in found if not any(parent in found for parent in path.parents)}
