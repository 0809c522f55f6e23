"""A label that is renamed or deleted in CVAT reaches what the function host shows of a model.

CVAT maps a model's labels by name. Which label of which project a class was shown for is kept
beside the store, <store>/.shown/<function-id>.json, which hosts of before pass over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.models.publishing import shown_labels
from serverless.store.functions import Entry, entries, publish
from trainer.bundles.bundle import read_bundle
from trainer.data.files import parse_json

_FOLDER = ".shown"


@dataclass(frozen=True)
class ShownLabels:
    """For which project a model is shown, and the id of the label of each class."""

    project: int
    ids: Mapping[str, int]


def remember(store: Path, entry: Entry, project: int, labels: Sequence[Label]) -> None:
    """Keep which labels of a project an entry was published with. Raises OSError."""
    by_name = {label.name: label.id for label in labels}
    ids = {row.source: by_name[row.name] for row in entry.labels if row.name in by_name}
    path = store / _FOLDER / f"{entry.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"project": project, "ids": ids}), encoding="utf-8")
    part.replace(path)


def shown(store: Path, function_id: str) -> ShownLabels | None:
    """Return what was kept of a function, None where nothing was or it cannot be read."""
    try:
        values = parse_json((store / _FOLDER / f"{function_id}.json").read_bytes())
        return ShownLabels(
            int(values["project"]), {str(k): int(v) for k, v in values["ids"].items()}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def gone(store: Path, project: int, champion: str, labels: Sequence[Label]) -> dict[str, list[str]]:
    """Return the labels that a function shows and the project no longer has, by function id."""
    known = {label.name for label in labels}
    found = {
        entry.id: [row.name for row in entry.labels if row.name not in known]
        for entry, _ in _of_project(store, project, champion)
    }
    return {name: names for name, names in found.items() if names}


def relabel(
    store: Path,
    project: int,
    champion: str,
    labels: Sequence[Label],
    *,
    ids: Callable[[], Mapping[str, int]] = dict,
) -> list[Entry]:
    """Publish again what shows other labels than the project has today; return those entries.

    champion: id of the function of the project's champion; ids: class name → label id of it, for
    stores of before in which nothing was kept. Raises StoreError, BundleError, OSError.
    """
    changed = []
    for entry, kept in _of_project(store, project, champion):
        card = read_bundle(entry.bundle, verify=False).card
        tied = kept.ids if kept is not None else None
        if tied is None:
            known = {label.name for label in labels}
            tied = {} if all(row.name in known for row in entry.labels) else ids()
        labels_now = shown_labels(card, tied, labels, entry.interactor)
        if labels_now != entry.labels:
            made = replace(entry, labels=labels_now)
            publish(store, made)
            changed.append(made)
        if kept is None or labels_now != entry.labels:
            remember(store, replace(entry, labels=labels_now), project, labels)
    return changed


def _of_project(
    store: Path, project: int, champion: str
) -> Iterator[tuple[Entry, ShownLabels | None]]:
    for entry in entries(store):
        kept = shown(store, entry.id)
        ours = entry.id == champion if kept is None else kept.project == project
        if ours and entry.kind == "detector":
            yield entry, kept
