"""Describe a function like Nuclio's dashboard, in the format that CVAT reads.

One malformed description turns CVAT's whole list of models into an error 500 for everybody, so
external descriptions are validated by CVAT's rules and withheld if they violate one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from serverless.errors import ModelError
from serverless.store.functions import Entry, FunctionLabel
from trainer.bundles.bundle import Card
from trainer.data.files import parse_json

_KINDS = ("detector", "interactor", "reid", "tracker")


def labels_of(entry: Entry, card: Card) -> tuple[FunctionLabel, ...]:
    """Return the labels of a function: the entry's, else all classes of the card.

    Raises ModelError naming the classes of the entry that the model lacks.
    """
    if not entry.labels:
        # CVAT silently ignores a class declared as rectangle for labels of another type.
        kind = "mask" if card.task == "masks" else "any"
        return tuple(FunctionLabel(name, name, kind) for name in card.labels)
    known = card.labels.names
    if missing := [label.source for label in entry.labels if label.source not in known]:
        raise ModelError(
            f"function {entry.id!r} shows {', '.join(missing)}, which the model lacks;"
            f" it has {', '.join(known)}"
        )
    return entry.labels


def label_spec(labels: Sequence[FunctionLabel]) -> str:
    """Return the JSON string of the annotation `spec`: labels with confidence attributes."""
    return json.dumps(
        [
            {
                "id": i,
                "name": label.name,
                "type": label.type,
                "attributes": (
                    [label.confidence.spec()] if label.confidence.passes_functions else []
                ),
            }
            for i, label in enumerate(labels)
        ],
        ensure_ascii=False,
    )


def describe(
    entry: Entry, labels: Sequence[FunctionLabel], *, port: int, fault: str = ""
) -> dict[str, Any]:
    """Return the function object for CVAT's list.

    port: of the host. fault: why the model is unavailable; CVAT ignores the state and lists the
    function anyway, other clients see it.
    """
    detector = entry.kind == "detector"
    annotations = {
        "name": entry.name,
        "type": entry.kind,
        # The editor rejects interactors below version 2.
        "version": "1" if detector else "2",
        "spec": label_spec(labels) if detector else "",
        "framework": "onnx",
        "model_version": entry.version,
        **entry.annotations,
    }
    return {
        "metadata": {
            "name": entry.id,
            "namespace": "nuclio",
            "labels": {"nuclio.io/project-name": "cvat"},
            "annotations": annotations,
        },
        "spec": {
            "description": entry.description,
            "handler": "main:handler",
            "runtime": "python:3.10",
            "resources": {},
            "image": "processor:latest",
        },
        "status": {"state": "unhealthy" if fault else "ready", "httpPort": port}
        | ({"message": fault} if fault else {}),
    }


def faults_in(name: str, function: object) -> list[str]:
    """Return why CVAT could not read this function object; empty if it can."""
    if not isinstance(function, dict):
        return [f"the function must be an object, found {type(function).__name__}"]
    faults: list[str] = []
    metadata = _object(function, "metadata", faults)
    spec = _object(function, "spec", faults)
    _object(function, "status", faults)
    annotations = _object(metadata, "annotations", faults)
    if metadata.get("name") != name:
        faults.append(f"metadata.name must be {name!r}, found {metadata.get('name')!r}")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        faults.append(f"CVAT cannot route the name {name!r}")
    if not isinstance(spec.get("description"), str):
        faults.append("spec.description is missing")
    if annotations.get("type") not in _KINDS:
        faults.append(f"annotations.type must be one of {', '.join(_KINDS)}")
    faults += [
        f"annotations.{key} must be an integer, found {annotations[key]!r}"
        for key in ("version", "min_pos_points", "min_neg_points")
        if key in annotations and not re.fullmatch(r"\s*[+-]?\d+\s*", str(annotations[key]))
    ]
    if "supported_shape_types" in annotations and not str(
        annotations["supported_shape_types"]
    ).strip(" ,"):
        faults.append("annotations.supported_shape_types names none")
    try:
        labels = parse_json(annotations.get("spec") or "[]")
    except (TypeError, ValueError) as error:
        return [*faults, f"annotations.spec is not JSON: {error}"]
    return faults + _label_faults(labels, "annotations.spec")


def _label_faults(labels: object, where: str) -> list[str]:
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        return [f"{where} must be a list of labels"]
    faults: list[str] = []
    names = [label.get("name") for label in labels]
    if not all(isinstance(name, str) for name in names):
        faults.append(f"{where}: a label has no name")
    elif len(set(names)) != len(names):
        faults.append(f"{where}: two labels have one name")
    for label in labels:
        here = f"{where}: label {label.get('name')!r}"
        attributes = label.get("attributes", [])
        faults += _attribute_faults(attributes, here)
        if label.get("type") == "skeleton":
            if "svg" not in label:
                faults.append(f"{here}: a skeleton needs svg")
            faults += _label_faults(label.get("sublabels"), f"{here}.sublabels")
    return faults


def _attribute_faults(attributes: object, where: str) -> list[str]:
    if not isinstance(attributes, list) or not all(
        isinstance(a, dict) and {"name", "input_type", "values"} <= set(a) for a in attributes
    ):
        return [f"{where}: an attribute lacks name, input_type or values"]
    if len({str(a["name"]) for a in attributes}) != len(attributes):
        return [f"{where}: two attributes have one name"]
    return []


def _object(parent: dict[str, Any], key: str, faults: list[str]) -> dict[str, Any]:
    value = parent.get(key)
    if isinstance(value, dict):
        return value
    faults.append(f"{key} is missing")
    return {}
