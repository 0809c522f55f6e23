"""Initialise a fit's network: random weights, and the parts of the base that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from typing_extensions import Self

from trainer.backends.learning.starting.carry import HeadRows, carry_weights
from trainer.backends.learning.starting.weights import read_weights
from trainer.data.labels import LabelMap
from trainer.detector import FitConfig
from trainer.errors import ConfigError

_MOMENTUM = 0.1  # of the batch norms' running statistics: torch's default


@dataclass(frozen=True)
class BaseWeights:
    """Initial weights, their architecture, and the classes of their heads.

    architecture: None when there are no weights.
    """

    architecture: str | None = None
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    @classmethod
    def read(cls, config: FitConfig, engines: tuple[str, ...], architecture: str | None) -> Self:
        """Read config.base, a checkpoint or a bundle of one of these engines.

        Raises ConfigError when the config names another architecture than that of the weights.
        """
        if config.base is None:
            return cls()
        weights, meta = read_weights(config.base, engines=engines)
        theirs = str(meta["architecture"])
        if architecture not in (None, theirs):
            raise ConfigError(
                [
                    (
                        f"base weights {config.base} are for {theirs}: leave extra.architecture "
                        f"out, or set it to that, not {architecture}"
                    )
                ]
            )
        return cls(theirs, weights, tuple(meta["labels"]))


def initialise(
    build: Callable[[], nn.Module],
    base: BaseWeights,
    labels: LabelMap,
    *,
    heads: Callable[[nn.Module], Mapping[str, HeadRows]],
    seed: int,
) -> tuple[nn.Module, list[str]]:
    """Return the network with what fits of the base, and a sentence for each part that does not.

    heads: returns the tensors of a network that have rows per class; see starting.carry.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    for part in network.modules():
        # torchvision's mobile networks average over hundreds of steps, more than a short fit has.
        if isinstance(part, nn.BatchNorm2d) and (part.momentum or 0) < _MOMENTUM:
            part.momentum = _MOMENTUM
    if not base.weights:
        return network, []
    carried, notes = carry_weights(
        network.state_dict(),
        base.weights,
        labels=labels,
        known=LabelMap(base.classes),
        heads=heads(network),
    )
    network.load_state_dict(carried)
    return network, notes
