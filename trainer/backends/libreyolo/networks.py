"""libreyolo's networks by name, for any classes and input size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from torch import nn

from trainer.backends.learning.starting.carry import HeadRows
from trainer.backends.libreyolo.families import family_of
from trainer.backends.libreyolo.settings import missing_libraries
from trainer.errors import ConfigError

_QUERIES = 300  # object queries of D-FINE and DEIM
# Buffers that these networks recompute from the input size.
MADE = ("decoder.anchors", "decoder.valid_mask")
_TRUNK_RATE = 0.5  # factor of the learning rate with which D-FINE's authors fine-tune its trunk


def build(
    architecture: str, classes: int, *, image_size: tuple[int, int], begun: bool = False
) -> nn.Module:
    """Return libreyolo's network with random weights.

    image_size: (height, width), multiples of STRIDE. begun: whether training starts from pretrained
    weights; then the parts that its authors freeze are frozen. Raises ConfigError when its library
    is not installed.
    """
    if faults := missing_libraries(architecture):
        raise ConfigError(faults)
    family, _, size = architecture.partition("_")
    module = import_module(f"libreyolo.models.{family_of(architecture).module}.nn")
    if family == "yolox":
        network: Any = module.LibreYOLOXModel(size, nb_classes=classes)
        network.init_weights()
        network.head.use_l1 = True  # as its authors do once mosaic augmentation ends
    elif family == "yolo9":
        network = module.LibreYOLO9Model(size, nb_classes=classes)
    elif family == "rfdetr":
        whole = module.LibreRFDETRModel(size, nb_classes=classes)
        network = whole.model
        network.settings = whole.args
        network.criterion_of = whole.build_criterion_and_postprocess
    else:
        kind = module.LibreDFINEModel if family == "dfine" else module.LibreDEIMModel
        network = kind(
            size, nb_classes=classes, eval_spatial_size=image_size, train_from_scratch=not begun
        )
        height, width = image_size
        places = sum((height // s) * (width // s) for s in network.decoder.feat_strides)
        network.decoder.num_queries = min(_QUERIES, places)
    made: nn.Module = network
    return made


def heads_of(network: nn.Module) -> dict[str, HeadRows]:
    """Return the tensors of the network that have rows per class."""
    return heads_of_names(network.state_dict())


def heads_of_names(names: Iterable[str]) -> dict[str, HeadRows]:
    """Return which of these tensors have rows per class."""
    return {name: rows for name in names if (rows := _rows(name)) is not None}


def _rows(name: str) -> HeadRows | None:
    head, _, _ = name.rpartition(".")
    if head.startswith(("head.cls_preds.", "decoder.dec_score_head.")):
        return HeadRows()
    if head == "decoder.enc_score_head" or (head.startswith("head.cv3.") and head.endswith(".2")):
        return HeadRows()
    if head == "decoder.denoising_class_embed":
        return HeadRows(after=1)  # the denoising queries' "no object"
    if head == "class_embed" or head.startswith("transformer.enc_out_class_embed."):
        return HeadRows(after=1)  # a row that RF-DETR never trains
    return None


def rates_of(network: Any, architecture: str) -> Mapping[str, float]:
    """Return the learning rate factors of parameters that are fine-tuned differently, by name."""
    family = architecture.partition("_")[0]
    if family in ("dfine", "deim"):
        return {n: _TRUNK_RATE for n, _ in network.named_parameters() if n.startswith("backbone.")}
    if family != "rfdetr":
        return {}
    # The trunk's rates are relative to this rate of the rest.
    usual = family_of(architecture).learning_rate
    trunk = network.backbone[0].get_named_param_lr_pairs(network.settings, prefix="backbone.0")
    decoder = float(network.settings.lr_component_decay)
    return {
        **{name: float(pair["lr"]) / usual for name, pair in trunk.items()},
        **{
            n: decoder for n, _ in network.named_parameters() if n.startswith("transformer.decoder")
        },
    }
