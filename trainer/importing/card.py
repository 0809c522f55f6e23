"""Read the YAML card of an ONNX detector whose file contains no description.

    task: boxes
    labels: [cat, dog]                  # or --labels FILE
    family: yolov7                      # of FAMILIES; sets all of the following except the size
    input: {size: [480, 640], mean: [0, 0, 0], std: [255, 255, 255]}   # of RGB
    outputs: {boxes: dets, scores: conf, classes: ids}                 # names in the file
    box_format: xyxy        # or cxcywh
    normalised: false       # whether boxes are relative to the input size, not in pixels
    min_score: 0.3          # optional

scores is (B, N) with classes (B, N), or (B, N, C) without `classes`; boxes is (B, N, 4). Instead:

    outputs: {rows: output}                                # one output, one row per object
    columns: [cx, cy, w, h, objectness, classes]           # the meaning of its columns
    transposed: false       # whether it is (B, columns, N)

Also: input.fit (letterbox, corner, stretch), input.channels (rgb, bgr), input.sizes ({name of a
second input: width_height, height_width or ones}); scores (probabilities, logits, softmax,
percents); background (none, first, last: a background column in the scores); first_class (the id of
the first label); suppression (NMS threshold within a class; omit it if the network includes NMS);
most (objects per frame, no limit if unset).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.data.class_list import of_mapping, texts_of
from trainer.data.files import parse_yaml
from trainer.data.texts import read_text
from trainer.engines.generic_onnx import SIZES
from trainer.engines.onnx_outputs import BACKGROUNDS, COLUMNS, SCORES
from trainer.errors import ConfigError
from trainer.importing.families import FAMILIES

_OWN = ("task", "family", "labels", "input", "min_score", "licence")
_READING: dict[str, Any] = {
    "outputs": None,
    "columns": None,
    "transposed": False,
    "box_format": "xyxy",
    "normalised": False,
    "scores": "probabilities",
    "background": "none",
    "first_class": 0,
    "suppression": None,
    "most": None,
}
_INPUT: dict[str, Any] = {
    "mean": [0.0, 0.0, 0.0],
    "std": [255.0, 255.0, 255.0],
    "fit": "letterbox",
    "channels": "rgb",
    "sizes": {},
}
_ONE_OF = {
    "box_format": ("xyxy", "cxcywh"),
    "scores": SCORES,
    "background": BACKGROUNDS,
    "fit": ("letterbox", "corner", "stretch"),
    "channels": ("rgb", "bgr"),
}


def read_card(path: Path, session: Any, labels: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return fields of a bundle's Card, labels among them; ConfigError lists every fault.

    session: of the ONNX file, whose outputs must match the card. labels: classes passed separately,
    which the card may then omit.
    """
    import yaml

    try:
        text = read_text(path)
        content = parse_yaml(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: cannot be read as a card: {error}"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: expected a mapping, found {type(content).__name__}"])
    allowed = {*_OWN, *_READING}
    faults = [
        f"{path}: {key} is unknown" for key in sorted(map(str, content)) if key not in allowed
    ]
    family = content.get("family")
    if family is not None and family not in FAMILIES:
        faults.append(f"{path}: family must be one of {', '.join(FAMILIES)}, found {family!r}")
    needed = ["task", "labels", "input", "outputs"] if family is None else ["labels"]
    faults += [
        f"{path}: {key} is missing"
        for key in needed
        if key not in content and not (key == "labels" and labels is not None)
    ]
    if faults:
        raise ConfigError(faults)
    if content.get("task", "boxes") != "boxes":
        faults.append(f"{path}: task must be boxes, found {content['task']!r}")
    size, reading = reading_of(path, content, FAMILIES.get(str(family), {}), session, faults)
    least = content.get("min_score", 0.3)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        faults.append(f"{path}: min_score must be a number in 0..1, found {least!r}")
    if faults:
        raise ConfigError(faults)
    named = texts_of(text).get("labels")
    return {
        "engine": "generic_onnx",
        "task": "boxes",
        "labels": labels if named is None else of_mapping(path, named),
        "input_size": size,
        "min_score": float(least),
        "licence": str(content.get("licence", "")),
        "extra": reading | ({} if family is None else {"family": family}),
    }


def reading_of(
    path: Path, card: Mapping[str, Any], family: Mapping[str, Any], session: Any, faults: list[str]
) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return (height, width) and how to decode the outputs; faults are added to the list."""
    given = card.get("input", {})
    if not isinstance(given, dict):
        faults.append(f"{path}: input must contain size [height, width], mean and std")
        given = {}
    faults += [f"{path}: input.{key} is unknown" for key in set(given) - {"size", *_INPUT}]
    values = {**_READING, **_INPUT, **family}
    values |= {key: card[key] for key in _READING if key in card}
    values |= {key: given[key] for key in _INPUT if key in given}
    if values["columns"] is not None and not values["outputs"]:
        values["outputs"] = {"rows": session.get_outputs()[0].name}
    for key, known in _ONE_OF.items():
        if values[key] not in known:
            faults.append(f"{path}: {key} must be {' or '.join(known)}, found {values[key]!r}")
    faults += _columns(path, values)
    faults += _outputs(path, values["outputs"], values["columns"], session)
    sizes = values["sizes"]
    if not isinstance(sizes, dict) or not set(map(str, sizes.values())) <= set(SIZES):
        faults.append(f"{path}: input.sizes must set an input to {' or '.join(SIZES)}")
    iou = values["suppression"]
    if iou is not None and (isinstance(iou, bool) or not isinstance(iou, int | float)):
        faults.append(f"{path}: suppression must be a number, found {iou!r}")
    for key in ("first_class", "most"):
        if values[key] is not None and type(values[key]) is not int:
            faults.append(f"{path}: {key} must be a whole number, found {values[key]!r}")
    return _size(path, given, values, session, faults), values


def _columns(path: Path, values: dict[str, Any]) -> list[str]:
    columns = values["columns"]
    if columns is None:
        return []
    if not isinstance(columns, list) or not set(map(str, columns)) <= COLUMNS:
        return [f"{path}: columns must be a list of {', '.join(sorted(COLUMNS))}"]
    box = [n for n in columns if n in ("cx", "cy", "w", "h", "x1", "y1", "x2", "y2")]
    values["box_format"] = "cxcywh" if "cx" in box else "xyxy"
    winner = {"score", "class"} <= set(columns) and "classes" not in columns
    every = "classes" in columns and not {"score", "class"} & set(columns)
    if len(set(columns)) < len(columns) or sorted(box) not in (
        sorted(("cx", "cy", "w", "h")),
        sorted(("x1", "y1", "x2", "y2")),
    ):
        return [f"{path}: columns must name one box, cx cy w h or x1 y1 x2 y2, each once"]
    if winner == every:
        return [f"{path}: columns must name score and class, or classes"]
    return []


def _outputs(path: Path, named: Any, columns: Any, session: Any) -> list[str]:
    there = [output.name for output in session.get_outputs()]
    roles = ("rows",) if columns is not None else ("boxes", "scores", "classes")
    needed = {"rows"} if columns is not None else {"boxes", "scores"}
    if not isinstance(named, dict) or not needed <= set(named):
        required = " and ".join(sorted(needed))
        return [f"{path}: outputs must name {required}; the file has {', '.join(there)}"]
    return [
        f"{path}: outputs.{role} is {name!r}, the file has {', '.join(there)}"
        for role, name in named.items()
        if role not in roles or name not in there
    ]


def _size(
    path: Path, given: Mapping[str, Any], values: dict[str, Any], session: Any, faults: list[str]
) -> tuple[int, int]:
    """Return (height, width): from the card, else from the file if it is fixed."""
    shape = session.get_inputs()[0].shape
    fixed = shape[2:] if len(shape) == 4 and all(isinstance(n, int) for n in shape[2:]) else None
    try:
        height, width = (int(n) for n in given.get("size", fixed) or ())
        values["mean"] = [float(n) for n in values["mean"]]
        values["std"] = [float(n) for n in values["std"]]
    except (TypeError, ValueError) as error:
        faults.append(f"{path}: input must contain size [height, width], mean and std: {error}")
        return (1, 1)
    mean, std = values["mean"], values["std"]
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or min(height, width) < 1:
        faults.append(f"{path}: input.size, mean and std must be 2, 3 and 3 numbers, std above 0")
    return height, width
