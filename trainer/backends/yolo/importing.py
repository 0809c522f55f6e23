"""An ultralytics .pt → a bundle. Unpickles, so it runs only sandboxed (trainer.importing)."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from trainer.backends.yolo.checkpoint import load_trained, save_network
from trainer.backends.yolo.export import export
from trainer.backends.yolo.offline import isolate
from trainer.bundles.bundle import Bundle
from trainer.data.class_list import matching_names
from trainer.data.files import file_sha256
from trainer.errors import BundleError, ConfigError, ModelFileError

_KINDS = {"DetectionModel": "boxes", "SegmentationModel": "masks", "YOLOEModel": ""}
_SIDE = 640  # ultralytics' default when a file does not state a size


def convert(file: Path, destination: Path, *, name: str, labels: tuple[str, ...] | None) -> Bundle:
    """Write the bundle of ultralytics weights; classes, task and input size come from the file.

    Raises ModelFileError for a file or a task that is not served, ConfigError for class names
    that do not fit.
    """
    isolate()
    from ultralytics import utils
    from ultralytics.nn import tasks

    if not getattr(utils, "SAFE_LOAD", False):
        raise ModelFileError(
            file,
            "the installed ultralytics cannot load a file without running its code",
            "pip install -U ultralytics",
        )
    _check_kind(file)
    try:
        model: Any = load_trained(file)
    except BundleError as error:
        raise ModelFileError(file, f"refused: {error.found}") from error
    task = _KINDS.get(type(model).__name__, "")
    if not task or not issubclass(type(model), tasks.BaseModel):
        served = "DetectionModel and SegmentationModel of ultralytics"
        raise ModelFileError(file, f"a {type(model).__name__}; supported are {served}")
    known = matching_names(file, [str(model.names[n]) for n in range(len(model.names))], labels)
    size = _size(model.args.get("imgsz", _SIDE), int(max(model.stride)))
    meta = {
        "task": task,
        "image_size": list(size),
        "epochs": 0,
        "notes": [],
        "settings": {"base": None, "imported": file_sha256(file)},
        "fingerprint": "",
    }
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        try:
            save_network(checkpoint, model, meta)
            return export(checkpoint, destination, card={"name": name, "labels": known})
        except (RuntimeError, KeyError, BundleError) as error:
            raise ModelFileError(file, f"the network cannot be exported: {error}") from error


def _check_kind(file: Path) -> None:
    """Raise ModelFileError for plain tensors, which come without a network."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return  # it has classes: a network
    except (RuntimeError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(file, f"cannot be loaded: {error}") from error
    # Classes allowed by an earlier load stay allowed in this process: they may pass here, too.
    if isinstance(content, dict) and any(
        isinstance(content.get(key), torch.nn.Module) for key in ("ema", "model")
    ):
        return
    raise ModelFileError(
        file,
        "weights without a network (a state dict)",
        "Name their --architecture; from ultralytics, import best.pt or last.pt; otherwise,"
        " export it to ONNX",
    )


def _size(given: Any, stride: int) -> tuple[int, int]:
    sides = list(given) if isinstance(given, (list, tuple)) else [given]
    try:
        whole = [int(n) for n in (sides * 2)[:2]]
    except (TypeError, ValueError):
        raise ConfigError([f"the file states an input size of {given!r}"]) from None
    height, width = (max(stride, round(n / stride) * stride) for n in whole)
    return height, width
