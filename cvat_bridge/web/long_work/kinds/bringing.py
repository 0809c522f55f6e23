"""A file of weights that a person dropped into the page, taken in as `models add` does it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cvat_bridge.errors import BridgeError, ConfigError
from cvat_bridge.masks.interactors import own_interactor
from cvat_bridge.models.adding import add_model
from cvat_bridge.models.catalogue import ModelCatalogue
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.long_work.works import Do, Ended, Handle
from cvat_bridge.web.sites import Site
from serverless.errors import FunctionError
from trainer.data.class_list import read_classes
from trainer.errors import ModelFileError, TrainerError
from trainer.importing import ImportRequest

_FORM = (
    (
        " (--labels), or leave --project out and map them by hand in CVAT",
        ", in the class list",
    ),
    ("--labels", "the class list"),
    ("--card", "a card"),
    ("--architecture", "the name of its network"),
    ("--sample FILE, or --project N", "its finished frames"),
    ("give another --name", "choose another name"),
    ("--project", "the project"),
)


def shelf_of(site: Site) -> ModelCatalogue:
    """Return the models that people brought, where this project's service keeps them."""
    parts = site.parts
    return ModelCatalogue(parts.registry, parts.home, parts.functions)


def bringing(site: Site) -> Do:
    """Return what does it."""

    def do(work: Work, handle: Handle) -> Ended:
        folder = upload_folder(site, work.key)
        handle.report("look into the file, try it on a frame", 0, 0)
        try:
            made = _added(site, work, folder)
        except (BridgeError, TrainerError, FunctionError) as error:
            raise BridgeError(refusal(error, folder)) from error
        finally:
            if not handle.closing.is_set():
                shutil.rmtree(folder, ignore_errors=True)
        return Ended(made)

    return do


def upload_folder(site: Site, key: str) -> Path:
    """Return the folder of what a person sent."""
    return site.parts.home.long_work / "uploads" / key


def refusal(error: Exception, folder: Path) -> str:
    """Return why a file is not taken, with the names that its sender knows."""
    if isinstance(error, ModelFileError):
        advice = f". {error.advice}" if error.advice else ""
        text = f"{error.path.name}: {error.reason}{advice}"
    elif isinstance(error, ConfigError) or hasattr(error, "faults"):
        text = "; ".join(getattr(error, "faults", ()))
    else:
        text = str(error)
    text = text.replace(f"{folder}/", "")
    for option, words in _FORM:
        text = text.replace(option, words)
    return text


def _added(site: Site, work: Work, folder: Path) -> dict[str, Any]:
    asked, parts = work.request, site.parts
    listed = asked.get("labels")
    request = ImportRequest(
        folder / str(asked["file"]),
        str(asked["name"]),
        labels=read_classes(folder / str(listed)) if listed else None,
        card=folder / str(asked["card"]) if asked.get("card") else None,
        architecture=str(asked.get("architecture") or ""),
    )
    _, values = add_model(
        shelf_of(site),
        request,
        gateway=parts.gateway,
        project=site.id,
        own=own_interactor(parts.functions, parts.key),
        host=site.config.function_host.url,
    )
    return {name: value for name, value in values.items() if name != "store"}
