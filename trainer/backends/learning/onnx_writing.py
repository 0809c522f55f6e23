"""A traced network as an ONNX file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

_OPSET = 17


def write_onnx(
    graph: nn.Module,
    given: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    free: Mapping[str, str],
) -> None:
    """Trace a network on given tensors and write it.

    free: the inputs and outputs whose first axis may be of any length, and what it counts.
    """
    with warnings.catch_warnings():
        # The tracer warns of all that it takes for constant; that the file answers as the network
        # does is what the tests hold it to.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            given,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: what} for name, what in free.items()},
            opset_version=_OPSET,
            dynamo=False,
        )
