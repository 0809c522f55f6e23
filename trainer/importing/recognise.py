"""Recognise the format of a model file by its content."""

from __future__ import annotations

import zipfile
from pathlib import Path

from trainer.bundles.bundle import CARD
from trainer.data.files import check_plain
from trainer.errors import ModelFileError

_KNOWN = (
    "supported are ultralytics .pt and .onnx, other .onnx with --card, torchvision's weights with"
    " --architecture, and bundles (a folder or a zip)"
)
_PICKLE = b"\x80"  # start of pickle protocol 2 and later
_PROTOBUF = b"\x08"  # the first field of every ONNX file: its IR version


def recognise(path: Path) -> str:
    """Return the key of IMPORTERS for a file; ModelFileError for an unknown format."""
    if path.is_dir():
        if (path / CARD).is_file():
            return "bundle"
        raise ModelFileError(path, f"a folder without {CARD} is not a bundle", _KNOWN.capitalize())
    try:
        check_plain(path)
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise ModelFileError(path, "there is no such file") from None
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error}") from error
    # Checked first: the length at its start may look like the first byte of any other format.
    if start[8:9] == b"{" and start[5:8] == bytes(3):
        return "safetensors"
    if start.startswith(b"PK"):
        return _zipped(path)
    if start.startswith(_PICKLE):
        return "pickle"
    if start.startswith(_PROTOBUF):
        return "onnx"
    found = "an empty file" if not start else f"a file that starts with {start[:8]!r}"
    raise ModelFileError(path, f"not a model: {found}", _KNOWN.capitalize())


def _zipped(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ModelFileError(
            path, f"truncated or broken ({error})", "Copy or download the file again"
        ) from error
    if any(name.rsplit("/", 1)[-1] == "data.pkl" for name in names):
        return "pickle"
    if any(name.rsplit("/", 1)[-1] == CARD for name in names):
        return "zip"
    raise ModelFileError(path, f"a zip with neither weights nor {CARD}", _KNOWN.capitalize())
