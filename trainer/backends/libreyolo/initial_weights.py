"""Published COCO weights in libreyolo's layout, and the classes of their heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.backends.learning.starting.initialise import BaseWeights
from trainer.backends.learning.starting.published import fetch_file, read_published
from trainer.backends.libreyolo.networks import MADE, heads_of_names
from trainer.backends.libreyolo.published import PUBLISHED
from trainer.errors import TrainingError

_WRAPPED = ("model", "state_dict")


def published_base(architecture: str, sha256: str | None, who: str) -> BaseWeights:
    """Return the published weights that a fit starts from.

    sha256: of the file as stated by the team, None for the one in the table. Raises TrainingError
    when the file cannot be downloaded or has another sha256.
    """
    file = PUBLISHED[architecture]
    digest = sha256 or file.sha256
    path = fetch_file(file.url, file.name, digest, who)
    weights = _weights(read_published(path, digest, who), file.name, who)
    family, _, size = architecture.partition("_")
    if family == "yolo9":
        from libreyolo.models.yolo9.convert import convert_state_dict, is_upstream_state_dict

        if is_upstream_state_dict(weights):
            weights = convert_state_dict(weights, size)[0]
    classes = coco_names(every=family == "rfdetr")
    if family == "rfdetr":
        # COCO's own ids start at 1: row 0 moves to the end, where our layout has its unused row.
        rows = heads_of_names(weights)
        weights = {n: v.roll(-1, 0) if n in rows else v for n, v in weights.items()}
    return BaseWeights(architecture, {n: v for n, v in weights.items() if n not in MADE}, classes)


def coco_names(*, every: bool) -> tuple[str, ...]:
    """Return COCO's 80 names in order; every: with placeholders for the gaps in its ids 1..90."""
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    known = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:]
    named = [f"unused {n}" if name == "N/A" else name for n, name in enumerate(known, 1)]
    return tuple(name for name in named if every or not name.startswith("unused "))


def _weights(content: Mapping[str, Any], name: str, who: str) -> dict[str, Tensor]:
    """Return the tensors of a published file; the averaged (EMA) ones if it has them."""
    average = content.get("ema")
    found: Any = average.get("module") if isinstance(average, Mapping) else None
    for key in _WRAPPED:
        found = content.get(key) if found is None else found
    found = content if found is None else found
    tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise TrainingError(who, f"{name} contains no weights: {', '.join(list(content)[:5])}")
    return tensors
