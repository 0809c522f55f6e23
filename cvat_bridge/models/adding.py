"""A file of weights on its way into CVAT, from the file to the host's answer, told as values."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.models.catalogue import ModelCatalogue
from cvat_bridge.models.entries import function_id, people_get, shape_of, shapes_told
from cvat_bridge.models.from_file import AddedModel, add_from_file
from cvat_bridge.models.trial import ask_host, doubt_of, sample_frame
from trainer.importing import ImportRequest


def add_model(
    shelf: ModelCatalogue,
    request: ImportRequest,
    *,
    gateway: Gateway | None,
    project: int | None,
    own: Path | None,
    host: str,
    sample: Path | None = None,
) -> tuple[AddedModel, dict[str, Any]]:
    """Take a file in, try it on a frame, and show it in CVAT's list of models at once.

    gateway, project: of the project whose labels it is shown for, None for none. own: that
    project's interactor. host: address of the function host. sample: see sample_frame. The values
    are JSON, and say what people get and whether the host answers. Raises what bring raises.
    """
    frame = sample_frame(sample, gateway, project)
    known = gateway.labels(project_id=project) if gateway and project else None
    made = add_from_file(
        shelf,
        request,
        function_id(request.name),
        sample=frame,
        labels=known,
        own=own,
        project=project,
    )
    card = made.bundle.card
    doubt = doubt_of(made.trial, card, real=sample is not None or project is not None)
    shapes = shape_of(made.entry, card)
    return made, {
        "id": made.entry.id,
        "name": made.entry.name,
        "number": made.version.number,
        "version": made.version.bundle,
        "new": made.new,
        "task": card.task,
        "engine": card.engine,
        "labels": list(card.labels),
        "shapes": shapes_told(made.entry, card),
        "shape_by_label": shapes,
        "people_get": people_get(shapes) if shapes else "",
        "missing_labels": list(made.missing),
        "sample": asdict(made.trial),
        "warnings": [doubt] if doubt else [],
        "host": ask_host(host, made.entry, frame),
        "store": str(shelf.store),
    }
