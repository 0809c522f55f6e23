"""torchvision's weights → a bundle; the architecture is stated, not guessed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from trainer.backends.learning.starting.weights import WEIGHTS, save_weights
from trainer.backends.learning.tensors import fill, read_tensors, rows_of
from trainer.backends.torchvision_detection.export import export_network
from trainer.backends.torchvision_detection.networks import build, coco_names, heads_of
from trainer.backends.torchvision_detection.settings import two_stages
from trainer.bundles.bundle import Bundle
from trainer.data.class_list import matching_names
from trainer.data.files import file_sha256
from trainer.errors import ConfigError, ModelFileError

_COCO = 91  # rows of the heads of torchvision's own weights, background included
_SIZE, _SMALL = (800, 1088), (320, 448)


def convert(
    file: Path, destination: Path, *, name: str, labels: tuple[str, ...] | None, architecture: str
) -> Bundle:
    """Write the bundle of a state dict in safetensors or torch format.

    labels: None for torchvision's own weights, trained on COCO. Raises ModelFileError for tensors
    that are not those of the architecture, ConfigError for class names that do not fit.
    """
    weights = read_tensors(file)
    count = _classes(file, weights, architecture)
    coco = count == _COCO - int(two_stages(architecture))
    if labels is None and not coco:
        raise ConfigError(
            [f"{file}: weights do not name their {count} classes; pass them with --labels"]
        )
    names = (
        coco_names(architecture)
        if labels is None
        else matching_names(file, _numbered(count), labels)
    )
    small = "320" in architecture or "mobilenet_v3_small" in architecture
    size = _SMALL if small else _SIZE
    network = build(architecture, names, image_size=size)
    frozen = fill(file, network, weights, architecture)
    if frozen and coco and "resnet50_fpn" in architecture and not architecture.endswith("v2"):
        # torchvision's own weights of these were trained with it.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
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
        card["extra"] = {"scaling": "linear"}  # as torchvision's own transform scales
        return export_network(network, size, destination, files={WEIGHTS: kept}, card=card)


def _classes(file: Path, weights: Any, architecture: str) -> int:
    """Return the number of classes of the heads."""
    heads = heads_of(build(architecture, ["one"]))
    name, rows = next((n, r) for n, r in heads.items() if n.endswith(".bias") and r.inner == 1)
    found = rows_of(file, weights, name, architecture)
    whole, rest = divmod(found, rows.outer)
    if rest or whole <= rows.background:
        raise ModelFileError(file, f"{name} has {found} rows, which is not a valid head")
    return whole - rows.background


def _numbered(count: int) -> list[str]:
    return [f"class {n}" for n in range(count)]
