"""The champion becomes a model in CVAT's list: an entry in the function host's store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.masks.interactors import can_show, own_interactor
from cvat_bridge.shapes.detection_shapes import LEARNABLE_LABELS
from serverless.store.confidence import NAME, ConfidenceForm
from serverless.store.functions import Entry, FunctionLabel, publish
from trainer.bundles.bundle import Card, read_bundle
from trainer.registry.registry import Version

LABEL_IDS = "label_ids"  # the registry tag that ties classes to CVAT's labels: {name: id} as JSON


def publish_champion(
    store: Path,
    *,
    function_id: str,
    name: str,
    champion: Version,
    labels: Sequence[Label],
    project_key: str | None = None,
) -> Entry:
    """Make the host serve this version under a stable id, with the project's labels of today.

    A label that was renamed since the fit keeps its class by its id. project_key: of the project
    whose own interactor, where one serves, makes masks of boxes. Raises StoreError.
    """
    bundle = read_bundle(champion.path)
    own = own_interactor(store, project_key)
    entry = Entry(
        id=function_id,
        kind="detector",
        name=name,
        description=f"Version {champion.number} ({champion.bundle[:12]}), learnt in CVAT",
        bundle=champion.path,
        version=champion.bundle,
        labels=shown_labels(
            bundle.card, json.loads(champion.tags.get(LABEL_IDS, "{}")), labels, own
        ),
        interactor=own,
    )
    publish(store, entry)
    return entry


def shown_labels(
    card: Card, ids: Mapping[str, int], labels: Sequence[Label], own: Path | None = None
) -> tuple[FunctionLabel, ...]:
    """Return how a model's classes appear under a project's labels; none where none is known.

    Each has its label's type, by which CVAT matches: a box meets no polygon label. Left out are
    those whose label no detection fits, or none that this model can make. ids: class name → label
    id, for labels that were renamed since; else names decide. own: the interactor of the project.
    """
    by_id = {label.id: label for label in labels}
    by_name = {label.name: label for label in labels}
    shown = []
    for source in card.labels:
        label = by_id.get(ids.get(source, -1)) or by_name.get(source)
        if label is None or label.type not in LEARNABLE_LABELS:
            continue
        if can_show(card.task, label.type, own):
            shown.append(FunctionLabel(source, label.name, label.type, confidence_form(label)))
    # Classes whose labels are all gone are shown as they are: CVAT maps them by hand.
    return tuple(shown)


def confidence_form(label: Label) -> ConfidenceForm:
    """Return a label's attribute `confidence`; a text, which harms nobody, where it has none."""
    for attribute in label.attributes:
        if attribute.name == NAME:
            return ConfidenceForm(attribute.input_type, attribute.values)
    return ConfidenceForm()
