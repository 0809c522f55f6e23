"""Exports of every family as their tools write them, of a network whose one object is known.

Each says class 1 of two at [40, 20, 80, 60] of a frame of 100 x 100, with score 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 100
BOX = (40.0, 20.0, 80.0, 60.0)
CENTRE = (60.0, 40.0, 40.0, 40.0)
SHARES = tuple(v / SIDE for v in CENTRE)
NAMES = {0: "cat", 1: "dog"}
SCORE = 0.9
LOGIT = float(np.log(SCORE / (1 - SCORE)))


@dataclass(frozen=True)
class Export:
    """One export. card: what people say of it, or "". refused: part of the sentence, or "".

    inputs: names of further inputs, of integers (1, 2).
    """

    family: str
    option: str
    outputs: Mapping[str, np.ndarray]
    metadata: Mapping[str, str] = field(default_factory=dict)
    card: str = ""
    refused: str = ""
    inputs: Sequence[str] = ()
    external: bool = False

    def write(self, folder: Path) -> tuple[Path, Path | None]:
        """Write the file, and its card where it has one."""
        path = constant(
            folder / "model.onnx",
            self.outputs,
            metadata=self.metadata,
            inputs=self.inputs,
            external=self.external,
        )
        if not self.card:
            return path, None
        told = folder / "card.yaml"
        told.write_text(self.card, encoding="utf-8")
        return path, told


def constant(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    *,
    metadata: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
    external: bool = False,
) -> Path:
    """Write a network that answers the same whatever it sees, but needs its inputs."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    held = {"zero": np.float32(0)}
    given = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    last = "nothing"
    for name in inputs:
        given.append(helper.make_tensor_value_info(name, TensorProto.INT64, [1, 2]))
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", [f"{name}_f"], [f"{name}_m"], keepdims=0),
            helper.make_node("Mul", [f"{name}_m", "zero"], [f"{name}_n"]),
            helper.make_node("Add", [last, f"{name}_n"], [f"{name}_s"]),
        ]
        last = f"{name}_s"
    told = []
    for name, value in outputs.items():
        held[f"{name}_is"] = value
        if value.dtype == np.int64:
            nodes += [
                helper.make_node("Cast", [last], [f"{name}_z"], to=TensorProto.INT64),
                helper.make_node("Add", [f"{name}_is", f"{name}_z"], [name]),
            ]
            told.append(helper.make_tensor_value_info(name, TensorProto.INT64, value.shape))
        else:
            nodes.append(helper.make_node("Add", [f"{name}_is", last], [name]))
            told.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape))
    tensors = [numpy_helper.from_array(value, name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "constant", given, told, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    if external:
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        onnx.save(model, path)
    return path


def rows(*values: Sequence[float], count: int = 30) -> np.ndarray:
    """Return (1, count, K): these rows, and rows of zeros that fill up the number."""
    made = np.zeros((1, count, len(values[0])), np.float32)
    made[0, : len(values)] = values
    return made


def turned(values: np.ndarray) -> np.ndarray:
    """Return (1, K, N) of (1, N, K)."""
    return np.ascontiguousarray(values.transpose(0, 2, 1))


def told(**more: str) -> dict[str, str]:
    """Return what ultralytics says in a file of detection."""
    known = {"task": "detect", "names": str(NAMES), "imgsz": f"[{SIDE}, {SIDE}]", "stride": "32"}
    return {**known, "version": "8.4.0", **more}


def _padded() -> np.ndarray:
    values = rows((*BOX, SCORE, 1))
    values[0, 1:, 5] = -1
    return values


def _sized(**more: np.ndarray) -> dict[str, np.ndarray]:
    boxes, scores = rows(BOX), rows((SCORE,))[..., 0]
    labels = np.full((1, 30), -1, np.int64)
    labels[0, 0] = 1
    return {"labels": labels, "boxes": boxes, "scores": scores, **more}


def _table(score: float, rest: float, classes: int = 2) -> np.ndarray:
    values = np.full((1, 30, classes), rest, np.float32)
    values[0, 0, 1] = score
    return values


_CARD = "labels: [cat, dog]\nfamily: {}\n"
_OWN = (
    "task: boxes\nlabels: [cat, dog]\ninput: {size: [100, 100]}\n"
    "outputs: {boxes: boxes, scores: scores}\n"
)
_EVERY = rows((*CENTRE, 0.05, SCORE))
_OBJECTNESS = rows((*CENTRE, 0.95, 0.05, SCORE / 0.95))
_CHOSEN = rows((*BOX, SCORE, 1))
_SIX = rows((*BOX, SCORE, 1), count=6)
_RTDETR = rows((*SHARES, SCORE, 1))
_V5 = {"stride": "32", "names": str(NAMES)}
_SIZES = ("orig_target_sizes",)

EXPORTS: tuple[Export, ...] = (
    Export("YOLOv8 to YOLO26", "plain", {"output0": turned(_EVERY)}, told()),
    Export("YOLOv8 to YOLO26", "nms=True", {"output0": _padded()}, told(args="{'nms': True}")),
    Export(
        "YOLOv8 to YOLO26",
        "nms=True, as many rows as 4 + classes",
        {"output0": _SIX},
        told(args="{'nms': True}"),
    ),
    Export(
        "YOLOv8 to YOLO26",
        "as many rows as 4 + classes, nothing said",
        {"output0": _SIX},
        told(),
        refused="its description does not say which",
    ),
    Export(
        "YOLOv8 to YOLO26",
        "without description",
        {"o": turned(_EVERY)},
        card=_CARD.format("yolov8"),
    ),
    Export("YOLOv8 to YOLO26", "two files", {"output0": turned(_EVERY)}, told(), external=True),
    Export(
        "YOLOv8 to YOLO26",
        "scores that are percents",
        {"output0": turned(rows((*CENTRE, 5, 90)))},
        told(),
        refused="percents",
    ),
    Export(
        "YOLOv8 to YOLO26",
        "scores that are logits",
        {"output0": turned(rows((*CENTRE, -3, 2.2)))},
        told(),
        refused="logits",
    ),
    Export("YOLOv10, YOLO26", "end2end", {"output0": _CHOSEN}, told(end2end="True")),
    Export("YOLOv5", "its own exporter", {"output0": _OBJECTNESS}, _V5),
    Export("YOLOv5", "through the card", {"o": _OBJECTNESS}, card=_CARD.format("yolov5")),
    Export("YOLOv7", "--grid", {"output": _OBJECTNESS}, card=_CARD.format("yolov7")),
    Export(
        "YOLOv7",
        "--grid --end2end --max-wh",
        {"output": rows((0, *BOX, 1, SCORE), count=1)[0]},
        card=_CARD.format("yolov7-end2end"),
    ),
    Export(
        "YOLOX",
        "--decode_in_inference",
        {"output": _OBJECTNESS},
        card=_CARD.format("yolox"),
    ),
    Export(
        "YOLOX",
        "not decoded",
        {"output": rows((0.5, 0.5, -1, -2, 0.95, 0.05, 0.9))},
        card=_CARD.format("yolox"),
        refused="not decoded",
    ),
    Export(
        "RT-DETR of ultralytics",
        "8.4: best rows",
        {"output0": _RTDETR},
        told(head="RTDETRDecoder", end2end="False"),
    ),
    Export(
        "RT-DETR of ultralytics",
        "before: every class",
        {"output0": rows((*SHARES, 0.05, SCORE))},
        told(description="Ultralytics rtdetr-l model"),
    ),
    Export(
        "RT-DETR of ultralytics",
        "without description",
        {"o": _RTDETR},
        card=_CARD.format("rt-detr-ultralytics"),
    ),
    Export("RT-DETR", "its own exporter", _sized(), card=_CARD.format("rt-detr"), inputs=_SIZES),
    Export("D-FINE", "its own exporter", _sized(), card=_CARD.format("d-fine"), inputs=_SIZES),
    Export("DEIM", "its own exporter", _sized(), card=_CARD.format("deim"), inputs=_SIZES),
    Export("D-FINE", "without a card", _sized(), inputs=_SIZES, refused="--card"),
    Export(
        "RT-DETR of transformers",
        "logits, pred_boxes",
        {"logits": _table(LOGIT, -4), "pred_boxes": rows(SHARES)},
        card=_CARD.format("rt-detr-transformers"),
    ),
    Export(
        "RF-DETR",
        "with its row of no object",
        {"dets": rows(SHARES), "labels": _table(LOGIT, -4, classes=3)},
        card=_CARD.format("rf-detr"),
    ),
    Export(
        "RF-DETR",
        "without that row",
        {"dets": rows(SHARES), "labels": _table(LOGIT, -4)},
        card=_CARD.format("rf-detr"),
    ),
    Export(
        "any other",
        "logits",
        {"boxes": rows(BOX), "scores": _table(LOGIT, -4)},
        card=_OWN + "scores: logits\n",
    ),
    Export(
        "any other",
        "logits, not said",
        {"boxes": rows(BOX), "scores": _table(LOGIT, -4)},
        card=_OWN,
        refused="scores: logits",
    ),
    Export(
        "any other",
        "percents",
        {"boxes": rows(BOX), "scores": _table(90, 1)},
        card=_OWN + "scores: percents\n",
    ),
    Export(
        "any other",
        "shares, not said",
        {"boxes": rows(tuple(v / SIDE for v in BOX)), "scores": _table(SCORE, 0.01)},
        card=_OWN,
        refused="normalised: true",
    ),
    Export(
        "any other",
        "head of another family",
        {"output0": _CHOSEN},
        told(head="NewDecoder"),
        refused="NewDecoder",
    ),
)
