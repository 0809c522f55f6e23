"""A function's folder: function.yaml describes it for CVAT, a weights folder may be included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from serverless.errors import ModelError
from serverless.store.confidence import NAME, ConfidenceForm
from serverless.store.describe import labels_of
from serverless.store.functions import Entry, FunctionLabel
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.data.files import parse_json, parse_yaml
from trainer.errors import TrainerError

WEIGHTS = "weights"
GENERAL_INTERACTOR = "extreme-points"  # the id of the built-in interactor
_OWN = ("name", "type", "version", "spec", "framework")  # derived from the entry's other fields


def entry_of(function_yaml: Path, folder: Path) -> Entry:
    """Return the entry for a function.yaml served by the bundle in a folder.

    Raises ModelError when either cannot be read or the bundle lacks the labels.
    """
    try:
        content = parse_yaml(function_yaml.read_text(encoding="utf-8"))
        metadata, annotations = content["metadata"], content["metadata"]["annotations"]
        spec = parse_json(annotations["spec"] or "[]")
        bundle = read_bundle(folder, verify=False)
        entry = Entry(
            id=metadata["name"],
            kind=annotations["type"],
            name=annotations["name"],
            description=bundle.card.name,
            bundle=folder,
            version=bundle.version,
            labels=tuple(
                FunctionLabel(
                    label["name"], label["name"], label.get("type", "any"), _confidence(label)
                )
                for label in spec
            ),
            annotations={k: v for k, v in annotations.items() if k not in _OWN},
        )
        labels_of(entry, bundle.card)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{function_yaml}: not a function.yaml that can be served: {error}"
        ) from error
    except TrainerError as error:
        raise ModelError(str(error)) from error
    return entry


def _confidence(label: Mapping[str, Any]) -> ConfidenceForm:
    for attribute in label.get("attributes", ()):
        if attribute["name"] == NAME:
            values = tuple(str(value) for value in attribute["values"])
            return ConfidenceForm(attribute["input_type"], values)
    return ConfidenceForm()


def shipped(root: Path = Path(__file__).parents[1]) -> tuple[Entry, ...]:
    """Return the functions whose weights are next to their function.yaml, in order of id.

    A folder may contain several: function-<use>.yaml describes another use of the same weights.
    """
    folders = sorted(path.parent for path in root.glob(f"*/{WEIGHTS}/card.json"))
    found = [
        entry_of(description, folder)
        for folder in folders
        for description in sorted(folder.parent.glob("function*.yaml"))
    ]
    return tuple(sorted(found, key=lambda entry: entry.id))


def general_interactor(root: Path = Path(__file__).parents[1]) -> Bundle | None:
    """Return the bundle of the built-in interactor, which serves every project; None if missing.

    Raises BundleError when it does not match its card.
    """
    for entry in shipped(root):
        if entry.id == GENERAL_INTERACTOR:
            return read_bundle(entry.bundle, version=entry.version)
    return None
