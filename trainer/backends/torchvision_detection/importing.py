"""torchvision's weights by themselves → a bundle: their architecture is named, not guessed."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.backends.learning.weights import WEIGHTS, save_weights
from trainer.backends.torchvision_detection.export import export_network
from trainer.backends.torchvision_detection.networks import build, heads_of, two_stages
from trainer.bundle import Bundle, file_sha256
from trainer.errors import ConfigError, ModelFileError
from trainer.importing.class_list import fitting

_COCO = 91  # rows of the heads of torchvision's own weights, the background's included
_SIZES = {"fasterrcnn_mobilenet_v3_large_320_fpn": (320, 448)}
_SIZE = (800, 1088)
_WRAPPED = ("model", "state_dict", "model_state_dict", "ema", "weights")


def convert(
    file: Path, destination: Path, *, name: str, labels: tuple[str, ...] | None, architecture: str
) -> Bundle:
    """Write the bundle of a state dict in safetensors or in torch's own form.

    labels: None for torchvision's own weights, which are of COCO. Raises ModelFileError for
    tensors that are not those of the architecture, ConfigError for class names that do not fit.
    """
    weights = read_tensors(file)
    count = _classes(file, weights, architecture)
    coco = count == _COCO - int(two_stages(architecture))
    if labels is None and not coco:
        raise ConfigError(
            [f"{file}: weights alone do not name their {count} classes; give them by --labels"]
        )
    names = _coco(count) if labels is None else fitting(file, _numbered(count), labels)
    size = _SIZES.get(architecture, _SIZE)
    network = build(architecture, names, image_size=size)
    _fill(file, network, weights, architecture, exact=labels is None)
    meta = {
        "architecture": architecture,
        "labels": list(names),
        "image_size": list(size),
        "settings": {"architecture": architecture, "imported": file_sha256(file)},
    }
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / WEIGHTS
        save_weights(kept, network.state_dict(), meta)
        card: dict[str, Any] = {"name": name, "labels": names, "settings": meta["settings"]}
        return export_network(network, size, destination, files={WEIGHTS: kept}, card=card)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; ModelFileError when it holds anything else."""
    with file.open("rb") as opened:
        start = opened.read(9)
    try:
        if start[8:9] == b"{":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(file, f"refused: more than tensors: {error}") from error
    # safetensors' own error is no subclass of a common one.
    except Exception as error:
        raise ModelFileError(file, f"truncated or broken: {error}", "Copy it again") from error
    while isinstance(content, Mapping) and not _tensors(content):
        inner = next((content[key] for key in _WRAPPED if key in content), None)
        if inner is None:
            raise ModelFileError(file, "holds no state dict")
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(file, "holds no state dict")
    prefix = "module." if all(key.startswith("module.") for key in content) else ""
    return {key.removeprefix(prefix): value.float() for key, value in content.items()}


def _tensors(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())


def _classes(file: Path, weights: Mapping[str, Tensor], architecture: str) -> int:
    """Return how many classes the heads have rows for."""
    heads = heads_of(build(architecture, ["one"]))
    name, rows = next((n, r) for n, r in heads.items() if n.endswith(".bias") and r.inner == 1)
    if name not in weights:
        raise ModelFileError(
            file,
            f"no weights of {architecture}: there is no {name}",
            f"It holds {', '.join(list(weights)[:3])}, …; name the architecture they are of",
        )
    whole, rest = divmod(len(weights[name]), rows.outer)
    if rest or whole <= rows.background:
        raise ModelFileError(file, f"{name} has {len(weights[name])} rows, which is no head")
    return whole - rows.background


def _fill(
    file: Path, network: nn.Module, weights: dict[str, Tensor], architecture: str, *, exact: bool
) -> None:
    own = network.state_dict()
    # Batch normalisation that was frozen keeps no count of batches.
    frozen = not any(key.endswith("num_batches_tracked") for key in weights)
    filled = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} if frozen else {}
    try:
        network.load_state_dict({**filled, **weights})
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ModelFileError(
            file, f"no weights of {architecture}: {' '.join(lines)[:300]}", "Name another one"
        ) from error
    if frozen and exact and "resnet50_fpn" in architecture and not architecture.endswith("v2"):
        # torchvision's own weights of these were made with it.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0


def _numbered(count: int) -> list[str]:
    return [f"class {n}" for n in range(count)]


def _coco(count: int) -> tuple[str, ...]:
    """Return COCO's names as torchvision numbers them; the gaps in its ids have names too."""
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    known = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][_COCO - count :]
    return tuple(f"unused {n}" if name in ("N/A", "__background__") else name
                 for n, name in enumerate(known))  # fmt: skip
