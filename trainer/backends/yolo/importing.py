"""ultralytics' own .pt → a bundle. It unpickles, so it runs only apart (trainer.importing)."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import torch

from trainer.backends.yolo.checkpoint import save_checkpoint
from trainer.backends.yolo.export import export
from trainer.backends.yolo.offline import isolate
from trainer.bundle import Bundle, file_sha256
from trainer.errors import ConfigError, ModelFileError
from trainer.importing import allowed
from trainer.importing.class_list import fitting

_KINDS = {"DetectionModel": "boxes", "SegmentationModel": "masks", "YOLOEModel": ""}
_SIDE = 640  # what ultralytics itself serves with where a file does not say


def convert(file: Path, destination: Path, *, name: str, labels: tuple[str, ...] | None) -> Bundle:
    """Write the bundle of ultralytics weights; classes, task and input size come from the file.

    Raises ModelFileError for a file or a task that is not served, ConfigError for class names
    that do not fit.
    """
    isolate()
    from ultralytics.nn import tasks

    try:
        content = torch.load(file, map_location="cpu", weights_only=False, pickle_module=allowed)
    except pickle.UnpicklingError as error:
        raise ModelFileError(file, str(error)) from error
    except (RuntimeError, EOFError, AttributeError, ImportError, KeyError, TypeError) as error:
        raise ModelFileError(file, f"cannot be loaded: {error}") from error
    if not isinstance(content, dict) or (content.get("ema") or content.get("model")) is None:
        raise ModelFileError(
            file,
            "weights without a network in them (a state dict)",
            "Of ultralytics, bring best.pt or last.pt; of another family, export it to ONNX",
        )
    model = content.get("ema") or content["model"]
    task = _KINDS.get(type(model).__name__, "")
    if not task or not isinstance(model, tasks.BaseModel):
        served = "DetectionModel and SegmentationModel of ultralytics"
        raise ModelFileError(file, f"a {type(model).__name__}; served are {served}")
    told = getattr(model, "args", None) or content.get("train_args") or {}
    arguments = told if isinstance(told, dict) else vars(told)
    known = fitting(file, [str(model.names[n]) for n in range(len(model.names))], labels)
    size = _size(arguments.get("imgsz", _SIDE), int(max(model.stride)))
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
            save_checkpoint(checkpoint, file, meta)
            return export(checkpoint, destination, card={"name": name, "labels": known})
        except (RuntimeError, KeyError) as error:
            raise ModelFileError(file, f"its network cannot be exported: {error}") from error


def _size(given: object, stride: int) -> tuple[int, int]:
    sides = list(given) if isinstance(given, (list, tuple)) else [given]
    try:
        whole = [int(n) for n in (sides * 2)[:2]]
    except (TypeError, ValueError):
        raise ConfigError([f"the file names an input size of {given!r}"]) from None
    height, width = (max(stride, round(n / stride) * stride) for n in whole)
    return height, width
