"""Write a traced network as an ONNX file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

_OPSET = 17
_LARGE = 1024  # elements of a tensor: smaller ones are not worth a node of their own


def write_onnx(
    graph: nn.Module,
    given: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    free: Mapping[str, str],
) -> None:
    """Trace a network on the given tensors and write it.

    free: the inputs and outputs whose first axis has a dynamic length → the name of that axis.
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


def store_in_half(path: Path) -> None:
    """Store the large weights of an ONNX file in 16 bits: half the size, still 32-bit arithmetic.

    Each is converted back by a Cast, which ONNX Runtime applies once, when it loads the file.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    casts, kept = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < _LARGE:
            kept.append(weight)
            continue
        name = f"{weight.name}_half"
        kept.append(numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.save(model, str(path))
