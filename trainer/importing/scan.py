"""What a pickle would run, read without running it.

Two looks, and both must pass: modelscan's list of what is known to be dangerous, and our list of
the few packages that weights are made of. What could not be looked at is refused as well.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from trainer.errors import ModelFileError

# Packages whose classes make up networks. Of the others, single names.
_PACKAGES = ("torch", "ultralytics", "torchvision")
_NAMES = {
    "builtins": {"set", "list", "dict", "int", "float", "bool", "slice", "tuple", "bytearray"},
    "collections": {"OrderedDict", "defaultdict"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "_codecs": {"encode"},
    "pathlib": {"Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
    "types": {"SimpleNamespace"},
    "argparse": {"Namespace"},
    "functools": {"partial"},
}
# Inside those packages too there are functions that run text, load files or start programs.
_FORBIDDEN = (
    "torch.hub",
    "torch.utils.cpp_extension",
    "torch.utils.data",
    "torch.multiprocessing",
    "torch.distributed",
    "torch.jit",
    "torch.package",
    "torch.serialization",
    "torch.storage._load_from_bytes",
    "torch.load",
    "torch.ops",
    "torch._dynamo",
    "torch._inductor",
    "ultralytics.utils",
    "ultralytics.hub",
    "ultralytics.data",
    "ultralytics.engine",
    "ultralytics.cfg",
)
_ALLOWED_INSIDE = ("ultralytics.utils.IterableSimpleNamespace", "ultralytics.utils.loss")
_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "BINUNICODE8")


def scan(path: Path) -> None:
    """Raise ModelFileError when a pickle would run anything but the making of a network."""
    _modelscan(path)
    strange = sorted({name for name in globals_of(path) if not _allowed(name)})
    if strange:
        raise ModelFileError(
            path,
            f"refused: opening it would run {', '.join(strange[:5])}, which no network needs",
            "If you trust who made it, export it to ONNX there and bring that",
        )


def globals_of(path: Path) -> Iterator[str]:
    """Give the dotted names that a file's pickles import; ModelFileError for what is no pickle."""
    for place, content in _pickles(path):
        recent: list[str] = []
        try:
            for code, value, _ in pickletools.genops(content):
                if code.name in ("GLOBAL", "INST"):
                    yield str(value).replace(" ", ".")
                elif code.name == "STACK_GLOBAL":
                    # Its two names are texts put on the stack before; one that is fetched from
                    # the memo instead cannot be told apart, and so is refused.
                    yield ".".join(recent[-2:]) if len(recent) >= 2 else "an unnamed function"
                elif code.name in _TEXTS:
                    recent.append(str(value))
                elif code.name not in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
                    recent.clear()
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            raise ModelFileError(
                path, f"{place} is no whole pickle: {error}", "Copy or fetch the file again"
            ) from error


def _pickles(path: Path) -> Iterator[tuple[str, bytes]]:
    if not zipfile.is_zipfile(path):
        raise ModelFileError(
            path,
            "a bare pickle, as torch wrote before 1.6",
            "Load and save it again with a newer torch, or export it to ONNX",
        )
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                yield name, archive.read(name)


def _modelscan(path: Path) -> None:
    try:
        from modelscan.modelscan import ModelScan
    except ImportError:
        raise ModelFileError(
            path,
            "a pickle is opened only after a scan, and modelscan is not installed",
            "pip install 'cvat-active-learning[models]'",
        ) from None
    found = ModelScan().scan(path)
    issues = [f"{row['module']}.{row['operator']}" for row in found["issues"]]
    if issues:
        raise ModelFileError(
            path,
            f"refused: opening it would run {', '.join(sorted(set(issues))[:5])}",
            "This file is not only a model; tell whoever gave it to you",
        )
    if found["errors"] or not found["summary"]["scanned"]["total_scanned"]:
        reason = found["errors"][:1] or "nothing in it could be scanned"
        raise ModelFileError(path, f"refused: {reason}", "Export it to ONNX and bring that")


def _allowed(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if any(name == rule or name.startswith(rule + ".") for rule in _ALLOWED_INSIDE):
        return True
    if any(name == rule or name.startswith(rule + ".") for rule in _FORBIDDEN):
        return False
    if module.split(".")[0] in _PACKAGES:
        return True
    return attribute in _NAMES.get(module, set())
