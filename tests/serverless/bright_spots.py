"""A centernet bundle made by hand: its network finds bright 4 x 4 cells, red ones and green ones.

A real ONNX file for the real engine, without training or torch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trainer.bundles.bundle import Bundle, write_bundle

STRIDE = 4
SIDE = 32
BOX = 8.0  # pixels, of every box


def network(gain: float, classes: int) -> onnx.ModelProto:
    """Score of class c at a cell: sigmoid(gain * (mean of channel c in it - 0.5))."""
    select = np.zeros((classes, 3, 1, 1), np.float32)
    for channel in range(classes):
        select[channel, channel] = gain / 255
    constants = {
        "select": select,
        "bias": np.full(classes, -gain / 2, np.float32),
        "nothing": np.zeros((2, 3, 1, 1), np.float32),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["cells", "select", "bias"], ["heat"]),
        helper.make_node("Conv", ["cells", "nothing"], ["sizes"]),
        helper.make_node("Conv", ["cells", "nothing"], ["offsets"]),
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bright_spots",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("heat", "sizes", "offsets", "embedding")
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def bright_spots(
    folder: Path, *, gain: float = 4.0, labels: tuple[str, ...] = ("red", "green")
) -> Bundle:
    """Write the bundle, of three labels at most; another gain makes another version."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        onnx.save(network(gain, len(labels)), path)
        return write_bundle(
            folder,
            files={"model.onnx": path},
            name="bright spots",
            engine="centernet",
            task="boxes",
            labels=labels,
            input_size=(SIDE, SIDE),
            min_score=0.7,
            extra={"stride": STRIDE, "unit": BOX},
        )


def picture(*spots: tuple[int, int, int]) -> np.ndarray:
    """A black image with a bright cell for each (row, column, channel), in cells."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for row, column, channel in spots:
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, channel] = 255
    return image
