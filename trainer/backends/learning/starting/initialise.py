"""What a fit begins with: a network of random weights, and what of a base fits into it."""

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

_MOMENTUM = 0.1  # of the normalisations' running means: torch's own default


@dataclass(frozen=True)
class BaseWeights:
    """Weights to begin with, of which network they are, and the classes of their heads.

    architecture: None where there are none.
    """

    architecture: str | None = None
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    @classmethod
    def read(cls, config: FitConfig, engines: tuple[str, ...], architecture: str | None) -> Self:
        """Read config.base, a checkpoint or a bundle of one of these engines.

        Raises ConfigError when another architecture than its own is asked for.
        """
        if config.base is None:
            return cls()
        weights, meta = read_weights(config.base, engines=engines)
        theirs = str(meta["architecture"])
        if architecture not in (None, theirs):
            raise ConfigError(
                [
                    (
                        f"base weights {config.base} are of {theirs}: leave extra.architecture "
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
    """Return the network with what of the base fits, and a sentence for each thing that did not.

    heads: the tensors of a network that have rows for classes; see learning.carry.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    for part in network.modules():
        # torchvision's mobile networks count over hundreds of steps, more than a short fit has.
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
