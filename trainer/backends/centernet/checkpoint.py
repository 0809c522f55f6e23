"""Checkpoints of this network, and what of one fits new labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.backends.centernet.network import CenterNet
from trainer.backends.centernet.settings import DEEP
from trainer.backends.learning.carry import Rows, carry
from trainer.backends.learning.weights import read_weights, weights_file
from trainer.errors import ConfigError
from trainer.labels import LabelMap

if TYPE_CHECKING:
    from torch import Tensor

ENGINES = ("centernet",)
_HEADS = {"heat.weight": Rows(), "heat.bias": Rows()}


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint, or the weights inside a bundle folder."""
    return read_weights(path, engines=ENGINES)


def checkpoint_file(path: Path) -> Path:
    """Return the file that read_checkpoint reads."""
    return weights_file(path, engines=ENGINES)


def build(weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> CenterNet:
    """Return the network of a checkpoint, ready to answer."""
    network = CenterNet(
        len(meta["labels"]), width=int(meta["width"]), deep=int(meta.get("deep", DEEP))
    )
    network.load_state_dict(dict(weights))
    return network.eval()


def carry_over(network: CenterNet, labels: LabelMap, base: Path) -> list[str]:
    """Load all of base that fits, classes by name; return what did not, a sentence each.

    Raises ConfigError when base is of a network of another width or deep.
    """
    weights, meta = read_checkpoint(base)
    faults = [
        f"base weights {base} have {name} {theirs}; set extra.{name} to it, not {mine}"
        for name, theirs, mine in (
            ("width", meta["width"], network.heat.in_channels),
            ("deep", meta.get("deep", DEEP), network.lateral32.in_channels),
        )
        if theirs != mine
    ]
    if faults:
        raise ConfigError(faults)
    known = LabelMap(tuple(meta["labels"]))
    fitting, notes = carry(network.state_dict(), weights, labels=labels, known=known, heads=_HEADS)
    network.load_state_dict(fitting)
    return notes
