"""The models that a person may choose in a project, by the reference that `annotate` takes.

A reference may also be a folder of this machine: none that is not offered here is ever followed.
"""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.errors import NotFoundError
from cvat_bridge.web.page import RefusedError
from cvat_bridge.web.sites import Site
from serverless.store.folders import shipped
from serverless.store.functions import entries
from trainer.registry.versions import Version


@dataclass(frozen=True)
class OfferedModel:
    """A model of a list. group: heading in it."""

    reference: str
    words: str
    group: str


def offered_models(site: Site) -> tuple[OfferedModel, ...]:
    """Return the detectors, the one that serves the project first. Raises BridgeError.

    The project's own versions, newest first, then what CVAT's list of models offers.
    """
    parts = site.parts
    versions = parts.registry.versions(parts.key)
    found = [
        OfferedModel(f"{parts.key}@{row.number}", _words(row), "This project's models")
        for row in sorted(versions, key=lambda row: (not row.champion, -row.number))
    ]
    own = parts.config.function_host.function_id
    for group, listed in (
        ("Models that people brought", entries(parts.functions)),
        ("Models that ship", shipped()),
    ):
        found += [
            OfferedModel(entry.id, entry.name, group)
            for entry in listed
            if entry.kind == "detector" and entry.id != own
        ]
    return tuple(found)


def chosen_reference(offered: tuple[OfferedModel, ...], asked: str) -> str:
    """Return the reference that is asked for, the first where none is; "" where none is offered.

    Raises RefusedError for one that is not offered.
    """
    if not asked:
        return offered[0].reference if offered else ""
    if all(asked != row.reference for row in offered):
        raise RefusedError(
            404,
            f"There is no model {asked!r} here (any more).",
            "It may have been removed meanwhile. Choose another one from the list.",
        )
    return asked


def _words(row: Version) -> str:
    ap = row.metrics.get("ap")
    figure = "" if ap is None else f", AP {ap:.3f}"
    serves = "serves now, " if row.champion else ""
    return f"version {row.number} ({serves}{row.created:%Y-%m-%d}{figure})"


def task_of_project(site: Site, task_id: int) -> None:
    """Let through a task of this project; RefusedError for any other. Raises GatewayError."""
    try:
        task = site.parts.gateway.task(task_id)
    except NotFoundError:
        task = None
    if task is None or task.project_id != site.id:
        raise RefusedError(
            404,
            f"This project has no task {task_id} (any more).",
            "Choose another one from the list.",
        )
