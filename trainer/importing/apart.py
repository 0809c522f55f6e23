"""Opening a pickle in a process of its own (see cage.py); all it gives back is a bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from trainer.bundle import Bundle, read_bundle
from trainer.errors import ModelFileError
from trainer.importing import cage
from trainer.importing.bundles import from_folder
from trainer.importing.request import Request
from trainer.importing.scan import scan

_SECONDS = 600


def from_pickle(request: Request, destination: Path) -> Bundle:
    """Scan, convert apart, and take over the bundle; see trainer.importing.import_model."""
    if not cage.available() and not request.trusted:
        raise ModelFileError(
            request.path,
            "a pickle may run code, and this system lets no process be cut off from our secrets"
            " (unshare is missing or forbidden, as in most containers)",
            "Import it on another machine and bring the bundle, bring an ONNX file, or, if you"
            " trust who made it, say --trusted: it is then scanned and opened in a process with"
            " none of our environment, which may still read files and use the network",
        )
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        scratch = Path(folder)
        # What is scanned and hashed is what is opened, whoever writes to the file meanwhile.
        shutil.copyfile(request.path, scratch / "weights.pt")
        request.check_sha256(scratch / "weights.pt")
        scan(scratch / "weights.pt", shown=request.path)
        asked = {
            "file": str(scratch / "weights.pt"),
            "shown": str(request.path),
            "name": request.name,
            "labels": request.labels,
            "out": str(scratch / "bundle"),
        }
        (scratch / "request.json").write_text(json.dumps(asked), encoding="utf-8")
        _convert(request, scratch)
        made = read_bundle(scratch / "bundle")
        return from_folder(Request(made.path, request.name), destination)


def _convert(request: Request, scratch: Path) -> None:
    command = [sys.executable, "-m", "trainer.importing.child", str(scratch / "request.json")]
    try:
        ended = cage.run(
            command,
            scratch,
            hidden=request.hidden,
            seconds=_SECONDS,
            cut_off=cage.available(),
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(request.path, f"not converted within {_SECONDS} s") from None
    if ended.returncode:
        lines = [line for line in ended.stderr.strip().splitlines() if line.strip()]
        raise ModelFileError(
            request.path,
            lines[-1] if lines else f"the converting process ended with {ended.returncode}",
        )
