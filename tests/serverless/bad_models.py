"""Bundles whose networks crash, hang or eat memory once an image has a bright pixel."""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serverless.store.folders import GENERAL_INTERACTOR, shipped
from tests.serverless.bright_spots import BOX, SIDE, STRIDE, network
from trainer.bundles.bundle import Bundle, read_bundle, write_bundle

KINDS = ("crashing", "hanging", "hungry")
HUNGER = 6 << 30  # bytes


def bad(folder: Path, kind: str, *, hunger: int = HUNGER) -> Bundle:
    """Write a bundle of one of KINDS: it answers black images and fails on all others.

    crashing: divides the least whole number by -1, which ends the process by SIGFPE. hanging:
    loops for hours. hungry: fills `hunger` bytes.
    """
    model = network(4.0, 2)
    _spoil(model.graph, kind, hunger)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        onnx.save(model, path)
        return write_bundle(
            folder,
            files={"model.onnx": path},
            name=kind,
            engine="centernet",
            task="boxes",
            labels=("red", "green"),
            input_size=(SIDE, SIDE),
            min_score=0.7,
            extra={"stride": STRIDE, "unit": BOX},
        )


def _spoil(graph: onnx.GraphProto, kind: str, hunger: int) -> None:
    """Add a number to `heat` that is 0, and that costs what the kind says."""
    nodes = list(graph.node)
    heat = next(node for node in nodes if "heat" in node.output)
    heat.output[0] = "clean"
    constants = {"half": np.float32(0.0), "one": np.int64(1), "none": np.float32(0)}
    made = [
        helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "half"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["times"], to=TensorProto.INT64),
    ]
    if kind == "crashing":
        constants |= {"least": np.int64(np.iinfo(np.int64).min), "two": np.int64(2)}
        made += [
            helper.make_node("Mul", ["times", "two"], ["twice"]),
            helper.make_node("Sub", ["one", "twice"], ["divisor"]),  # 1, or -1 for a bright one
            helper.make_node("Div", ["least", "divisor"], ["cost"]),
        ]
    elif kind == "hungry":
        constants |= {"shape": np.int64([1]), "many": np.int64(hunger // 4)}
        made += [
            helper.make_node("Mul", ["times", "many"], ["some"]),
            helper.make_node("Add", ["some", "one"], ["length"]),
            helper.make_node("Reshape", ["length", "shape"], ["size"]),
            helper.make_node("ConstantOfShape", ["size"], ["filled"]),
            helper.make_node("ReduceMax", ["filled"], ["cost"], keepdims=0),
        ]
    else:
        constants |= {"rounds": np.int64(1 << 40), "go": np.bool_(True)}
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["on"], ["still"]),
                helper.make_node("Sin", ["before"], ["after"]),
            ],
            "round",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("before", TensorProto.FLOAT, []),
            ],
            [
                helper.make_tensor_value_info("still", TensorProto.BOOL, []),
                helper.make_tensor_value_info("after", TensorProto.FLOAT, []),
            ],
        )
        made += [
            helper.make_node("Mul", ["times", "rounds"], ["often"]),
            helper.make_node("Loop", ["often", "go", "none"], ["cost"], body=body),
        ]
    made += [
        helper.make_node("Cast", ["cost"], ["spent"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["spent", "none"], ["nought"]),
        helper.make_node("Add", ["clean", "nought"], ["heat"]),
    ]
    del graph.node[:]
    graph.node.extend([*nodes, *made])
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()
    )


def bad_interactor(folder: Path) -> Bundle:
    """Write the interactor that ships, with a network that crashes at the first look."""
    (entry,) = [one for one in shipped() if one.id == GENERAL_INTERACTOR]
    good = read_bundle(entry.bundle)
    model = onnx.load(good.file("model.onnx"))
    last = next(node for node in model.graph.node if "quality" in node.output)
    last.output[0] = "clean"
    least = np.int64(np.iinfo(np.int64).min)
    constants = {"least": least, "one": np.int64(1), "none": np.float32(0)}
    made = [
        helper.make_node("ReduceMax", ["seen"], ["brightest"], keepdims=0),
        helper.make_node("IsNaN", ["brightest"], ["odd"]),
        helper.make_node("Cast", ["odd"], ["nought"], to=TensorProto.INT64),
        helper.make_node("Sub", ["nought", "one"], ["divisor"]),
        helper.make_node("Div", ["least", "divisor"], ["cost"]),
        helper.make_node("Cast", ["cost"], ["spent"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["spent", "none"], ["lost"]),
        helper.make_node("Add", ["clean", "lost"], ["quality"]),
    ]
    model.graph.node.extend(made)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()
    )
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: good.file(name) for name in good.card.files}
        files["model.onnx"] = Path(scratch) / "model.onnx"
        onnx.save(model, files["model.onnx"])
        card = {field.name: getattr(good.card, field.name) for field in fields(good.card)}
        del card["files"]
        return write_bundle(folder, files=files, **card)
