"""What the function host is told of a model that people brought."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cvat_bridge.errors import BridgeError
from cvat_bridge.gateway import Label
from cvat_bridge.round.publishing import shown_labels
from serverless.folders import shipped
from serverless.store import Entry
from trainer.bundle import Card


def function_id(name: str) -> str:
    """Make the id of a function out of what people call a model; Kubernetes takes such a name."""
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")
    if not made:
        raise BridgeError(f"the name {name!r} has no letter or digit to make an id of")
    return made


def entry_for(
    model: str, name: str, card: Card, path: Path, labels: Sequence[Label] | None
) -> Entry:
    """Return what the host is told of a model; labels: of the project that it is shown for.

    An interactor gets what its engine's own folder tells CVAT of clicks and help.
    """
    interactor = card.task == "interactor"
    classes = "" if interactor else f"{len(card.labels)} classes, "
    told = next((e.annotations for e in shipped() if interactor and e.id == _id_of(card)), {})
    return Entry(
        id=model,
        kind="interactor" if interactor else "detector",
        name=name,
        description=f"{card.task}: {classes}by {card.engine}",
        bundle=path,
        version="unknown",
        labels=() if labels is None or interactor else shown_labels(card, {}, labels),
        annotations=told,
    )


def _id_of(card: Card) -> str:
    return card.engine.replace("_", "-")
