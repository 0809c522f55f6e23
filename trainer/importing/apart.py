"""Opening a pickle in a process of its own, which has nothing worth stealing.

It gets no variable of our environment but PATH and the language, a home that vanishes, bounds on
time and file size, and, where the system permits it, no network, no sight of other processes and
none of the folders it must not see. All it gives back is a bundle.
"""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from trainer.bundle import Bundle, read_bundle
from trainer.errors import ModelFileError
from trainer.importing.bundles import from_folder
from trainer.importing.request import Request
from trainer.importing.scan import scan

_SECONDS = 600
_NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork")


def from_pickle(request: Request, destination: Path) -> Bundle:
    """Scan, convert apart, and take over the bundle; see trainer.importing.import_model."""
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        scratch = Path(folder)
        # What is scanned is what is opened, whoever writes to the file meanwhile.
        shutil.copyfile(request.path, scratch / "weights.pt")
        scan(scratch / "weights.pt", shown=request.path)
        asked = {
            "file": str(scratch / "weights.pt"),
            "shown": str(request.path),
            "name": request.name,
            "labels": request.labels,
            "out": str(scratch / "bundle"),
        }
        (scratch / "request.json").write_text(json.dumps(asked), encoding="utf-8")
        _run(request, scratch)
        made = read_bundle(scratch / "bundle")
        return from_folder(Request(made.path, request.name), destination)


def isolation() -> bool:
    """Say whether this system lets the process be cut off from network and processes."""
    return _isolation()


@functools.cache
def _isolation() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        [*_NAMESPACES, "--mount-proc", "true"], capture_output=True, check=False, timeout=30
    )
    return tried.returncode == 0


def _run(request: Request, scratch: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONPATH": str(root),
        "YOLO_CONFIG_DIR": str(scratch),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, "-m", "trainer.importing.child", str(scratch / "request.json")]
    if _isolation():
        hide = [
            f"mount -t tmpfs none {shlex.quote(str(path.resolve()))}"
            for path in request.hidden
            if path.is_dir()
        ]
        script = " && ".join([*hide, f"exec {shlex.join(command)}"])
        command = [*_NAMESPACES, "--mount-proc", "sh", "-c", script]
    try:
        ended = subprocess.run(
            command,
            env=environment,
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(request.path, f"not converted within {_SECONDS} s") from None
    if ended.returncode:
        lines = [line for line in ended.stderr.strip().splitlines() if line.strip()]
        raise ModelFileError(
            request.path,
            lines[-1] if lines else f"the converting process ended with {ended.returncode}",
        )
