"""The short card that describes an ONNX detector of a family we do not know.

    task: boxes
    labels: [cat, dog]
    input: {size: [480, 640], mean: [0, 0, 0], std: [255, 255, 255]}   # of RGB, letterboxed
    outputs: {boxes: dets, scores: conf, classes: ids}                 # names in the file
    box_format: xyxy        # or cxcywh
    normalised: false       # whether boxes are shares of the input instead of its pixels
    min_score: 0.3          # optional

scores is (B, N) with classes (B, N), or (B, N, C) without `classes`; boxes is (B, N, 4).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.data.class_list import of_mapping
from trainer.errors import ConfigError

_KEYS = ("task", "labels", "input", "outputs", "box_format", "normalised", "min_score", "licence")


def read_card(path: Path, session: Any) -> dict[str, Any]:
    """Return fields of a bundle's Card, labels among them; ConfigError lists every fault.

    session: of the ONNX file, whose outputs must be those that the card names.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: cannot be read as a card: {error}"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: expected a card, found {type(content).__name__}"])
    faults = [f"{path}: {key} is unknown" for key in sorted(set(content) - set(_KEYS))]
    faults += [
        f"{path}: {key} is missing"
        for key in ("task", "labels", "input", "outputs")
        if key not in content
    ]
    if faults:
        raise ConfigError(faults)
    if content["task"] != "boxes":
        faults.append(f"{path}: task must be boxes, found {content['task']!r}")
    faults += _outputs(path, content["outputs"], session)
    size, mean, std = _input(path, content["input"], faults)
    form = content.get("box_format", "xyxy")
    if form not in ("xyxy", "cxcywh"):
        faults.append(f"{path}: box_format must be xyxy or cxcywh, found {form!r}")
    least = content.get("min_score", 0.3)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        faults.append(f"{path}: min_score must be a number in 0..1, found {least!r}")
    if faults:
        raise ConfigError(faults)
    return {
        "engine": "generic_onnx",
        "task": "boxes",
        "labels": of_mapping(path, content["labels"]),
        "input_size": size,
        "min_score": float(least),
        "licence": str(content.get("licence", "")),
        "extra": {
            "mean": mean,
            "std": std,
            "outputs": dict(content["outputs"]),
            "box_format": form,
            "normalised": bool(content.get("normalised", False)),
        },
    }


def _outputs(path: Path, named: Any, session: Any) -> list[str]:
    there = [output.name for output in session.get_outputs()]
    if not isinstance(named, dict) or not {"boxes", "scores"} <= set(named):
        return [f"{path}: outputs must name boxes and scores; the file has {', '.join(there)}"]
    return [
        f"{path}: outputs.{role} is {name!r}, the file has {', '.join(there)}"
        for role, name in named.items()
        if role not in ("boxes", "scores", "classes") or name not in there
    ]


def _input(
    path: Path, given: Any, faults: list[str]
) -> tuple[tuple[int, int], list[float], list[float]]:
    try:
        height, width = (int(n) for n in given["size"])
        mean = [float(n) for n in given.get("mean", (0, 0, 0))]
        std = [float(n) for n in given.get("std", (255, 255, 255))]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        faults.append(f"{path}: input must hold size [height, width], mean and std: {error}")
        return (1, 1), [], []
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or min(height, width) < 1:
        faults.append(f"{path}: input.size, mean and std must be 2, 3 and 3 numbers, std above 0")
    return (height, width), mean, std
