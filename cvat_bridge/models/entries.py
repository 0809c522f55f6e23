"""What the function host is told of a model that people brought."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import BridgeError
from cvat_bridge.models.publishing import shown_labels
from serverless.store.folders import shipped
from serverless.store.functions import Entry
from trainer.bundles.bundle import Card

_LONGEST = 60  # of an id
_NAMED = 5  # labels of one shape that a line names


def function_id(name: str) -> str:
    """Make the id of a function out of what people call a model; Kubernetes takes such a name.

    Where letters of another script, or the end of a long name, do not fit in, a hash of the name
    keeps two models apart. Raises BridgeError for a name without any letter or digit.
    """
    plain = [c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c)]
    if not any(c.isalnum() for c in plain):
        raise BridgeError(
            f"the name {name!r} has no letter or digit to make an id of; give another --name"
        )
    made = re.sub(r"[^a-z0-9]+", "-", "".join(plain)).strip("-")
    if len(made) > _LONGEST or any(c.isalnum() and not c.isascii() for c in plain):
        short = hashlib.sha256(unicodedata.normalize("NFKC", name.lower()).encode()).hexdigest()[:8]
        made = f"{made[: _LONGEST - 9].strip('-') or 'model'}-{short}"
    return made


def entry_for(
    model: str,
    name: str,
    card: Card,
    path: Path,
    labels: Sequence[Label] | None,
    own: Path | None = None,
) -> Entry:
    """Return what the host is told of a model; labels: of the project that it is shown for.

    own: the interactor that serves that project, where it has one of its own.
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
        labels=() if labels is None or interactor else shown_labels(card, {}, labels, own),
        interactor=None if interactor else own,
        annotations=told,
    )


def shape_of(entry: Entry, card: Card) -> dict[str, str]:
    """Return the shape that people get for each label that a model shows; {} for an interactor.

    Without labels of a project CVAT maps the classes by hand, and what a model gives decides.
    """
    if card.task == "interactor":
        return {}
    own = "mask" if card.task == "masks" else "rectangle"
    if entry.labels:
        return {row.name: own if row.type == "any" else row.type for row in entry.labels}
    return dict.fromkeys(card.labels.names, own)


def people_get(shapes: Mapping[str, str]) -> str:
    """Say the same in a line, by shape; "" for none."""
    by_shape: dict[str, list[str]] = {}
    for name, shape in shapes.items():
        by_shape.setdefault(shape, []).append(name)
    parts = []
    for shape, names in by_shape.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{shape}s for {', '.join(names[:_NAMED])}{more}")
    return "; ".join(parts)


def shapes_told(entry: Entry, card: Card) -> str:
    """Return what people get of a model of boxes in CVAT; "" for any other."""
    if card.task != "boxes":
        return ""
    if not entry.labels:
        return (
            "boxes are answered as rectangles; for labels of type polygon or mask give --project N:"
            " its boxes then become polygons and masks"
        )
    if not entry.shows_masks:
        return ""
    kinds = {"polygon": "polygons", "mask": "masks"}
    parts = [
        f"{word} (labels {', '.join(names)})"
        for kind, word in kinds.items()
        if (names := [label.name for label in entry.labels if label.type == kind])
    ]
    whose = "the shipped interactor" if entry.interactor is None else "the project's interactor"
    return (
        f"boxes become {' and '.join(parts)} by {whose}; a box without an object in it is left out"
    )


def _id_of(card: Card) -> str:
    return card.engine.replace("_", "-")
