"""Which interactor makes masks of a model's boxes: the project's own where it serves, else ours."""

from __future__ import annotations

from pathlib import Path

from serverless.store.folders import GENERAL_INTERACTOR, general_interactor, shipped
from serverless.store.functions import MASKED, entries
from trainer.bundles.bundle import Bundle, read_bundle

NO_INTERACTOR = (
    "the model gives boxes, and no interactor that makes masks of them ships with this build"
)


def interactor_id(project_key: str) -> str:
    """Return the id of the function under which a project's own interactor is offered."""
    return f"{GENERAL_INTERACTOR}-{project_key}"


def own_interactor(store: Path, project_key: str | None) -> Path | None:
    """Return the folder of the interactor that serves a project of its own, None without one.

    store: of the function host, which is what serves. project_key: None for no project.
    """
    wanted = None if project_key is None else interactor_id(project_key)
    return next((entry.bundle for entry in entries(store) if entry.id == wanted), None)


def interactor_bundle(store: Path, project_key: str | None) -> Bundle | None:
    """Return the interactor for a project's masks; None where not even a general one ships.

    Raises BundleError for a bundle that is not what its card says.
    """
    own = own_interactor(store, project_key)
    return read_bundle(own) if own is not None else general_interactor()


def can_show(task: str, label_type: str, own: Path | None = None) -> bool:
    """Return whether a model for `task` can fill a label of a type; own: see own_interactor."""
    if task != "boxes" or label_type not in MASKED or own is not None:
        return True
    return any(entry.id == GENERAL_INTERACTOR for entry in shipped())
