"""Convert weights that only torch can open, in a sandboxed process (see sandboxed_process.py)."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from trainer.bundles.bundle import Bundle, read_bundle
from trainer.errors import ConfigError, ModelFileError
from trainer.importing import sandboxed_process
from trainer.importing.bundles import from_folder
from trainer.importing.request import ImportRequest
from trainer.importing.scan import scan

_SECONDS = 600
_YOLO = "trainer.backends.yolo.importing"
# Module that converts weights of a named architecture → module with the architecture names.
_BACKENDS = {
    "trainer.backends.torchvision_detection.importing": (
        "trainer.backends.torchvision_detection.settings"
    ),
    "trainer.backends.semantic.importing": "trainer.backends.semantic.settings",
}


def from_pickle(request: ImportRequest, destination: Path) -> Bundle:
    """Scan, convert in a sandbox, and take the bundle; see trainer.importing.import_model."""
    module = _module(request) if request.architecture else _YOLO
    if not sandboxed_process.sandbox_available() and not request.trusted:
        raise ModelFileError(
            request.path,
            "a pickle may run code, and this system does not allow sandboxed processes"
            " (unshare is missing or forbidden, as in most containers)",
            "Import it on another machine and copy the bundle, import an ONNX file, or, if you"
            " trust its author, add --trusted: it is then scanned and opened in a process with"
            " a clean environment, which may still read files and use the network",
        )
    return _converted(request, destination, module, scanned=True)


def from_tensors(request: ImportRequest, destination: Path) -> Bundle:
    """Convert safetensors, which contain no code; see trainer.importing.import_model."""
    if not request.architecture:
        raise ModelFileError(
            request.path,
            "safetensors contain weights only",
            f"Name their network: --architecture {_known()}; or export it to ONNX",
        )
    return _converted(request, destination, _module(request), scanned=False)


def _module(request: ImportRequest) -> str:
    for module, settings in _BACKENDS.items():
        if request.architecture in _architectures(settings):
            return module
    raise ConfigError([f"unknown architecture {request.architecture!r}; known are {_known()}"])


def _architectures(settings: str) -> tuple[str, ...]:
    """Return the architectures of a backend, none if it is not installed."""
    package = settings.rpartition(".")[0]
    if importlib.util.find_spec(package) is None:
        return ()
    found: tuple[str, ...] = importlib.import_module(settings).ARCHITECTURES
    return found


def _known() -> str:
    names = [name for settings in _BACKENDS.values() for name in _architectures(settings)]
    return ", ".join(names) or "(none is installed)"


def _converted(request: ImportRequest, destination: Path, module: str, *, scanned: bool) -> Bundle:
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        scratch = Path(folder)
        # Open exactly what was scanned and hashed, even if the file changes meanwhile.
        shutil.copyfile(request.path, scratch / "weights.pt")
        request.check_sha256(scratch / "weights.pt")
        if scanned:
            scan(scratch / "weights.pt", shown=request.path)
        asked = {
            "module": module,
            "file": str(scratch / "weights.pt"),
            "shown": str(request.path),
            "name": request.name,
            "labels": request.labels,
            "architecture": request.architecture,
            "out": str(scratch / "bundle"),
        }
        (scratch / "request.json").write_text(json.dumps(asked), encoding="utf-8")
        _run(request, scratch)
        made = read_bundle(scratch / "bundle")
        return from_folder(ImportRequest(made.path, request.name), destination)


def _run(request: ImportRequest, scratch: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "trainer.importing.conversion_process",
        str(scratch / "request.json"),
    ]
    try:
        ended = sandboxed_process.run_sandboxed(
            command,
            scratch,
            hidden=request.hidden,
            seconds=_SECONDS,
            cut_off=sandboxed_process.sandbox_available(),
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(request.path, f"not converted within {_SECONDS} s") from None
    if ended.returncode:
        lines = [line for line in ended.stderr.strip().splitlines() if line.strip()]
        raise ModelFileError(
            request.path,
            lines[-1].removeprefix(f"{request.path}: ")
            if lines
            else f"the converting process ended with {ended.returncode}",
        )
