"""Read the metadata that exporters write into ONNX files.

ultralytics writes task, classes, size and head; YOLOv5's own exporter classes and stride; libreyolo
its family. A stated family is trusted; if the output format stays ambiguous, a card is required.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from trainer.data.class_list import matching_names, of_mapping
from trainer.data.files import parse_json
from trainer.errors import ModelFileError
from trainer.importing.families import FAMILIES
from trainer.importing.request import ImportRequest

_TASKS = {"detect": "boxes", "segment": "masks"}
_HEADS = ("detect", "segment", "segment26")  # suffixes of the names of YOLO's heads
_CARD = "Describe it: --card FILE.yaml with `family` (one of {}) or columns, and its labels"
ADVICE = _CARD.format(", ".join(FAMILIES))
Described = tuple[tuple[str, ...], dict[str, Any]]


def read_description(
    request: ImportRequest, meta: Mapping[str, str], session: Any
) -> Described | None:
    """Return labels and the other fields of a Card; None for a file without a description.

    Raises ModelFileError for a description that cannot be read or served, ConfigError for labels
    that do not match.
    """
    if "libreyolo_version" in meta:
        family = meta.get("model_family", "")
        raise ModelFileError(
            request.path,
            f"an export of libreyolo, family {family!r}, with raw outputs of that family",
            "Describe its outputs in a --card FILE.yaml; or train it with the backend libreyolo",
        )
    if {"task", "names", "imgsz"} <= set(meta):
        return _ultralytics(request, meta, session)
    if {"stride", "names"} <= set(meta):
        return _yolov5(request, meta, session)
    return None


def _ultralytics(request: ImportRequest, meta: Mapping[str, str], session: Any) -> Described:
    path = request.path
    size = _literal(request, meta["imgsz"])
    try:
        height, width = (int(n) for n in (size if isinstance(size, list | tuple) else [size] * 2))
    except (TypeError, ValueError) as error:
        raise ModelFileError(path, f"its description cannot be read: {error}") from error
    task = _TASKS.get(meta["task"])
    if task is None:
        raise ModelFileError(
            path, f"its task is {meta['task']!r}; supported are {' and '.join(sorted(_TASKS))}"
        )
    labels = matching_names(
        path, of_mapping(path, _literal(request, meta["names"])), request.labels
    )
    shared = {
        "task": task,
        "input_size": (height, width),
        "licence": meta.get("license", ""),
    }
    by = {"described_by": f"ultralytics {meta.get('version', '')}"}
    head, about = meta.get("head", ""), meta.get("description", "").lower()
    if head == "RTDETRDecoder" or (not head and ("rtdetr" in about or "rt-detr" in about)):
        return labels, {**shared, **_rtdetr(request, len(labels), session, by)}
    if head and not head.lower().endswith(_HEADS):
        raise ModelFileError(
            path, f"its head is {head}, which is not supported without a card", ADVICE
        )
    layout = _layout(request, meta, len(labels), session)
    extra = {"one_to_one": False, **by} | ({} if layout is None else {"layout": layout})
    return labels, {**shared, "engine": "yolo", "extra": extra}


def _layout(
    request: ImportRequest, meta: Mapping[str, str], classes: int, session: Any
) -> str | None:
    """Return "chosen" if the network includes the selection, "anchors" if it states otherwise.

    None if an older file states neither and only one is possible; if both are, an error.
    """
    args = _literal(request, meta.get("args", "{}"))
    nms = isinstance(args, dict) and str(args.get("nms", "")).lower() == "true"
    whole = meta.get("end2end", "").lower()
    name = f"{meta.get('head', '')} {meta.get('description', '')}".lower()
    if nms or whole == "true" or "v10detect" in name or "yolov10" in name:
        return "chosen"
    if whole == "false":
        return "anchors"
    shape = session.get_outputs()[0].shape
    masks = session.get_outputs()[1].shape[1:2] if len(session.get_outputs()) > 1 else [0]
    more = masks[0] if masks and isinstance(masks[0], int) else 0
    if len(shape) == 3 and shape[1] == 4 + classes + more and shape[2] == 6 + more:
        raise ModelFileError(
            request.path,
            f"its output {shape} may be {shape[2]} places of {classes} classes, or {shape[1]}"
            " objects selected by the network, and its description does not say which",
            "Export it again with a newer ultralytics, or describe it: --card FILE.yaml with"
            " family yolov8 (places) or yolov10 (objects)",
        )
    return None


def _rtdetr(
    request: ImportRequest, classes: int, session: Any, by: Mapping[str, str]
) -> dict[str, Any]:
    """Read rows of box, score and class, or, from older versions, of box and all classes."""
    output = session.get_outputs()[0]
    wide = output.shape[-1] if len(output.shape) == 3 else None
    rows = {**FAMILIES["rt-detr-ultralytics"]}
    every = {**rows, "columns": ["cx", "cy", "w", "h", "classes"]}
    if wide == 6 and classes == 2:
        from trainer.importing.output_checks import whole_numbers

        reading = rows if whole_numbers(session, output.name) else every
    elif wide in (6, 4 + classes):
        reading = rows if wide == 6 else every
    else:
        raise ModelFileError(
            request.path,
            f"an RT-DETR by ultralytics with an output of {output.shape}; expected rows of 6 or"
            f" of {4 + classes} columns for {classes} classes",
            "Export it again with a newer ultralytics",
        )
    extra = {"box_format": "cxcywh", "outputs": {"rows": output.name}, **reading, **by}
    return {"engine": "generic_onnx", "extra": extra}


def _yolov5(request: ImportRequest, meta: Mapping[str, str], session: Any) -> Described:
    """Read the metadata of YOLOv5's own exporter: classes and stride, and nothing else."""
    path, output = request.path, session.get_outputs()[0]
    labels = matching_names(
        path, of_mapping(path, _literal(request, meta["names"])), request.labels
    )
    shape, taken = output.shape, session.get_inputs()[0].shape
    if len(shape) != 3 or shape[2] != 5 + len(labels):
        raise ModelFileError(
            path,
            f"classes and stride are stated as by YOLOv5, but its output is {shape}, not"
            f" (1, N, {5 + len(labels)})",
            "For YOLOv5, box models exported with their grid are supported. " + ADVICE,
        )
    if len(taken) != 4 or not all(isinstance(n, int) for n in taken[2:]):
        raise ModelFileError(
            path,
            "its input has no fixed size, and no size is stated",
            "Pass a card with family: yolov5 and input.size",
        )
    extra = {
        "box_format": "cxcywh",
        "normalised": False,
        "outputs": {"rows": output.name},
        **FAMILIES["yolov5"],
        "described_by": "YOLOv5",
    }
    return labels, {
        "engine": "generic_onnx",
        "task": "boxes",
        "input_size": (int(taken[2]), int(taken[3])),
        "extra": extra,
    }


def _literal(request: ImportRequest, text: str) -> Any:
    """Read a Python literal or JSON value, without running code."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        try:
            return parse_json(text)
        except (ValueError, RecursionError):
            raise ModelFileError(
                request.path, f"its description cannot be read: {error}"
            ) from error
