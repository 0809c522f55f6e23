"""ONNX files as people have them, made by hand: a YOLO as ultralytics exports it, and a stranger.

Both find 8 x 8 cells that are bright in the channel of a class: real files for real engines.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
CELL = 8


def yolo(
    path: Path,
    names: tuple[str, ...] = ("red", "green"),
    *,
    task: str = "detect",
    gain: float = 20.0,
    told: int | None = None,
    half: bool = False,
) -> Path:
    """Write a network with one output (1, 4 + C, A) and what ultralytics tells of it.

    told: how many classes it says to have, where that is not the truth. half: in 16 bits, as
    `half=True` exports it on a GPU.
    """
    count = len(names) if told is None else told
    listed = {n: names[n] if n < len(names) else f"more {n}" for n in range(count)}
    return _save(
        path,
        [helper.make_node("Concat", ["boxes", "heat"], ["output0"], axis=1)],
        {"output0": [1, 4 + len(names), (SIDE // CELL) ** 2]},
        classes=len(names),
        gain=gain,
        half=half,
        metadata={
            "task": task,
            "names": str(listed),
            "imgsz": f"[{SIDE}, {SIDE}]",
            "stride": "32",
            "version": "8.3.0",
            "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        },
    )


def stranger(path: Path, classes: int = 2) -> Path:
    """Write a network of outputs `dets` (1, A, 4), centre and size in pixels, and `conf` (…, C)."""
    turn = [
        helper.make_node("Transpose", ["boxes"], ["dets"], perm=[0, 2, 1]),
        helper.make_node("Transpose", ["heat"], ["conf"], perm=[0, 2, 1]),
    ]
    cells = (SIDE // CELL) ** 2
    outputs = {"dets": [1, cells, 4], "conf": [1, cells, classes]}
    return _save(path, turn, outputs, classes=classes, gain=20.0, metadata={})


CARD = f"""
task: boxes
labels: [red, green]
input: {{size: [{SIDE}, {SIDE}]}}
outputs: {{boxes: dets, scores: conf}}
box_format: cxcywh
min_score: 0.6
licence: MIT
"""


def _save(
    path: Path,
    last: list[onnx.NodeProto],
    outputs: dict[str, list[int]],
    *,
    classes: int,
    gain: float,
    metadata: dict[str, str],
    half: bool = False,
) -> Path:
    select = np.zeros((classes, 3, 1, 1), np.float32)
    for n in range(classes):
        select[n, n % 3] = gain
    centres = np.arange(SIDE // CELL, dtype=np.float32) * CELL + CELL / 2
    y, x = (grid.ravel() for grid in np.meshgrid(centres, centres, indexing="ij"))
    constants = {
        "boxes": np.stack([x, y, np.full_like(x, CELL), np.full_like(x, CELL)])[None],
        "select": select,
        "bias": np.full(classes, -gain / 2, np.float32),
        "flat": np.array([1, classes, -1], np.int64),
    }
    size = {"kernel_shape": [CELL, CELL], "strides": [CELL, CELL]}
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], **size),
        helper.make_node("Conv", ["cells", "select", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["shares"]),
        helper.make_node("Reshape", ["shares", "flat"], ["heat"]),
        *last,
    ]
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    if half:
        whole = {name: value.dtype.kind == "i" for name, value in constants.items()}
        constants = {n: v if whole[n] else v.astype(np.float16) for n, v in constants.items()}
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("images", kind, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(n, kind, s) for n, s in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def picture(*cells: tuple[int, int, int]) -> np.ndarray:
    """A black image with a bright cell for each (row, column, channel)."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for row, column, channel in cells:
        image[CELL * row : CELL * (row + 1), CELL * column : CELL * (column + 1), channel] = 255
    return image
