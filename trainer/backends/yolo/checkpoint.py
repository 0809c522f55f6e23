"""Checkpoints: weights with their description, loaded without running code of a pickle."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.backends.yolo.offline import isolate
from trainer.bundles.bundle import CARD, read_bundle
from trainer.data.files import parse_json
from trainer.data.labels import LabelMap
from trainer.errors import BundleError, ConfigError

WEIGHTS = "weights.pt"
# What torch raises on files of another format.
_UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)


def save_checkpoint(path: Path, trained: Path, meta: Mapping[str, Any]) -> None:
    """Store what ultralytics wrote at `trained` as network, weights and meta, atomically."""
    save_network(path, load_trained(trained), meta)


def save_network(path: Path, model: Any, meta: Mapping[str, Any]) -> None:
    """Store an ultralytics network, as save_checkpoint does."""
    network = {k: v for k, v in model.yaml.items() if k != "yaml_file"}
    content = {
        "meta": json.dumps(
            {
                **meta,
                "network": network,
                "labels": list(_names(model)),
                # Which of two heads predicts: an option, not a weight.
                "one_to_one": bool(model.model[-1].end2end),
            }
        ),
        "weights": {k: v.half() if v.is_floating_point() else v for k, v in _state(model).items()},
    }
    part = path.with_suffix(".part")
    torch.save(content, part)
    part.replace(path)


def read_checkpoint(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the network with its weights, and meta; path may be a bundle folder."""
    path = checkpoint_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        meta = parse_json(content["meta"])
        weights = content["weights"]
    except FileNotFoundError:
        raise ConfigError([f"base weights {path}: there is no such file or folder"]) from None
    except (OSError, *_UNREADABLE) as error:
        raise BundleError(path, "a checkpoint of the yolo backend", str(error)) from error
    try:
        model = _build(meta)
        model.load_state_dict(weights)
    except (RuntimeError, KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise BundleError(path, "the description of a network", str(error)) from error
    model.names = dict(enumerate(meta["labels"]))
    return model.float().eval(), meta


def checkpoint_file(path: Path) -> Path:
    """Return the file that read_checkpoint reads: for a bundle folder, the weights inside."""
    if not (path.is_dir() and (path / CARD).exists()):
        return path
    bundle = read_bundle(path)
    if bundle.card.engine != "yolo" or WEIGHTS not in bundle.card.files:
        raise BundleError(path, f"a bundle of yolo with {WEIGHTS}", bundle.card.engine)
    return bundle.file(WEIGHTS)


def base_weights(base: Path, run_dir: Path, *, task: str) -> tuple[Path, LabelMap]:
    """Return base weights as a file that ultralytics can start from, and their classes.

    Raises ConfigError for a missing file or weights of another task.
    """
    isolate()
    if not base.exists():
        raise ConfigError([f"base weights {base}: there is no such file or folder"])
    ours = base.is_dir() or _is_ours(base)
    model = read_checkpoint(base)[0] if ours else load_trained(base)
    theirs = "masks" if "Segment" in type(model.model[-1]).__name__ else "boxes"
    if theirs != task:
        raise ConfigError([f"base weights {base} are for {theirs}, this fit is for {task}"])
    labels = LabelMap(_names(model))
    if not ours:
        return base, labels
    path = run_dir / "base.pt"
    torch.save({"model": model, "train_args": {"task": _task(theirs)}}, path)
    return path, labels


def _is_ours(path: Path) -> bool:
    try:
        return "meta" in torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE:
        return False


def _build(meta: Mapping[str, Any]) -> Any:
    isolate()
    from ultralytics import utils
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel

    if meta["network"].get("activation") and not getattr(utils, "SAFE_LOAD", False):
        # This version would evaluate the text as code, whoever wrote it.
        raise ConfigError(["a network with an activation of its own needs a newer ultralytics"])
    kind: Any = SegmentationModel if meta["task"] == "masks" else DetectionModel
    model = kind(dict(meta["network"]), nc=len(meta["labels"]), verbose=False)
    if model.model[-1].end2end != meta["one_to_one"]:
        model.model[-1].end2end = meta["one_to_one"]
    return model


def load_trained(path: Path) -> Any:
    """Return the network of an ultralytics file, on the CPU in evaluation mode.

    Only known classes are instantiated (torch's weights_only). Raises BundleError for a file of
    another kind.
    """
    isolate()
    from ultralytics.nn import tasks

    read: Any = tasks.load_checkpoint
    try:
        return read(str(path))[0].float().eval()
    except _UNREADABLE as error:
        raise BundleError(path, "weights that ultralytics can read", repr(error)) from error


def _state(model: Any) -> dict[str, torch.Tensor]:
    return {k: v.detach().cpu() for k, v in model.state_dict().items()}


def _names(model: Any) -> tuple[str, ...]:
    names = model.names
    return tuple(str(names[n]) for n in range(len(names)))


def _task(task: str) -> str:
    return "segment" if task == "masks" else "detect"
