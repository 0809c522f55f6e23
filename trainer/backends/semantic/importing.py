"""torchvision's segmentation weights → a bundle; the architecture is stated, not guessed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from trainer.backends.learning.starting.weights import WEIGHTS, save_weights
from trainer.backends.learning.tensors import fill, read_tensors, rows_of
from trainer.backends.semantic.export import export_network
from trainer.backends.semantic.networks import build, heads_of, voc_names, without_auxiliary_head
from trainer.bundles.bundle import Bundle
from trainer.data.class_list import matching_names
from trainer.data.files import file_sha256
from trainer.errors import ConfigError

_VOC = 21  # outputs of torchvision's own weights, background included
_SIZE = (520, 696)  # torchvision scales the shorter side to 520


def convert(
    file: Path, destination: Path, *, name: str, labels: tuple[str, ...] | None, architecture: str
) -> Bundle:
    """Write the bundle of a state dict in safetensors or torch format.

    labels: the classes in order without the background, None for torchvision's own weights, trained
    on Pascal VOC. Raises ModelFileError for tensors that are not those of the architecture,
    ConfigError for class names that do not fit.
    """
    weights = without_auxiliary_head(read_tensors(file))
    head = next(name for name in heads_of(build(architecture, 1)) if name.endswith(".bias"))
    count = rows_of(file, weights, head, architecture) - 1
    if labels is None and count != _VOC - 1:
        raise ConfigError(
            [f"{file}: weights do not name their {count} classes; pass them with --labels"]
        )
    known = [f"class {n}" for n in range(count)]
    names = voc_names() if labels is None else matching_names(file, known, labels)
    network = build(architecture, count)
    fill(file, network, weights, architecture)
    settings = {"architecture": architecture, "imported": file_sha256(file)}
    meta = {"architecture": architecture, "labels": list(names), "image_size": list(_SIZE)}
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / WEIGHTS
        save_weights(kept, network.state_dict(), {**meta, "settings": settings})
        card = {"name": name, "labels": names, "settings": settings}
        return export_network(network, _SIZE, destination, files={WEIGHTS: kept}, card=card)
