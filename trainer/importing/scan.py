"""Scan what a pickle would execute, without executing it.

Two scans must both pass: modelscan's deny-list of dangerous names, and our allow-list of the few
packages that weights need. Content that cannot be scanned is rejected as well.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from trainer.errors import ModelFileError
from trainer.importing.allowed import allowed

_MOST_BYTES = 256 << 20  # of a pickle inside; the tensors are stored separately
_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "BINUNICODE8")


def scan(path: Path, *, shown: Path) -> None:
    """Raise ModelFileError when a pickle would execute anything but building a network.

    shown: the user's file, of which path is a copy.
    """
    try:
        _check_globals(path)
    except ModelFileError as error:
        raise ModelFileError(shown, error.reason, error.advice) from error


def _check_globals(path: Path) -> None:
    _modelscan(path)
    strange = sorted({".".join(pair) for pair in globals_of(path) if not allowed(*pair)})
    if strange:
        raise ModelFileError(
            path,
            f"refused: opening it would run {', '.join(strange[:5])}, which no network needs",
            "If you trust its author, export it to ONNX there and import that",
        )


def globals_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of all globals in a file's pickles; ModelFileError for other files."""
    for place, content in _pickles(path):
        recent: list[str] = []
        try:
            for code, value, _ in pickletools.genops(content):
                if code.name in ("GLOBAL", "INST"):
                    module, _, name = str(value).partition(" ")
                    yield module, name
                elif code.name == "STACK_GLOBAL":
                    # Its two names are strings pushed before; one taken from the memo
                    # instead cannot be determined, and so is rejected.
                    yield (recent[-2], recent[-1]) if len(recent) >= 2 else ("", "an unnamed one")
                    recent.clear()
                elif code.name in _TEXTS:
                    recent.append(str(value))
                elif code.name not in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
                    recent.clear()
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            raise ModelFileError(
                path,
                f"{place} is not a complete pickle: {error}",
                "Copy or download the file again",
            ) from error


def _pickles(path: Path) -> Iterator[tuple[str, bytes]]:
    if not zipfile.is_zipfile(path):
        raise ModelFileError(
            path,
            "a bare pickle, as torch wrote before 1.6",
            "Load and save it again with a newer torch, or export it to ONNX",
        )
    with zipfile.ZipFile(path) as archive:
        rows = archive.infolist()
        # torch ignores the case of names, and readers differ in which of two entries they take.
        names = [row.filename.lower() for row in rows]
        if len(set(names)) < len(names):
            raise ModelFileError(path, "refused: a zip with two files of the same name")
        for row in rows:
            if not row.filename.lower().endswith(".pkl"):
                continue
            if row.file_size > _MOST_BYTES:
                raise ModelFileError(path, f"refused: {row.filename} unpacks to {row.file_size} B")
            yield row.filename, archive.read(row)


def _modelscan(path: Path) -> None:
    try:
        from modelscan.modelscan import ModelScan
    except ImportError:
        raise ModelFileError(
            path,
            "a pickle is opened only after a scan, but modelscan is not installed",
            "pip install 'cvat-active-learning[models]'",
        ) from None
    found = ModelScan().scan(path)
    issues = [f"{row['module']}.{row['operator']}" for row in found["issues"]]
    if issues:
        raise ModelFileError(
            path,
            f"refused: opening it would run {', '.join(sorted(set(issues))[:5])}",
            "This file contains more than a model; inform whoever gave it to you",
        )
    if found["errors"] or not found["summary"]["scanned"]["total_scanned"]:
        reason = found["errors"][:1] or "nothing in it could be scanned"
        raise ModelFileError(path, f"refused: {reason}", "Export it to ONNX and import that")
