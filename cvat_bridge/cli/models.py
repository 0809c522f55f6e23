"""`cvat-bridge models`: weights that a team has become models in CVAT, and are looked after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvat_bridge.cli.serving import change_serving
from cvat_bridge.models.commands import add, list_
from cvat_bridge.models.workspace import (
    AsJson,
    ConfigPath,
    HomePath,
    Model,
    ModelWorkspace,
    Project,
    err,
    open_workspace,
    out,
    say,
)

if TYPE_CHECKING:
    from serverless.store.functions import Entry
    from trainer.registry.versions import Version


models = typer.Typer(help="Bring your own models into CVAT.", no_args_is_help=True)
models.command()(add)
models.command(name="list")(list_)


@models.command()
def show(
    model: Model,
    version: Annotated[
        str | None, typer.Argument(help="Number or hash; that which serves.")
    ] = None,
    config: ConfigPath = None,
    home: HomePath = None,
    as_json: AsJson = False,
) -> None:
    """Print all that is known of a model, and which of its versions served when."""
    from trainer.cli.model_page import model_json, model_page

    known = open_workspace(config, home).catalogue.find(model, version)
    values = model_json(known.bundle, known.version, known.history)
    if as_json:
        out.print_json(json.dumps(values))
    else:
        say(model_page(values))


@models.command()
def remove(
    model: Model,
    keep: Annotated[
        bool, typer.Option("--keep-versions", help="`models promote` can bring it back.")
    ] = False,
    config: ConfigPath = None,
    home: HomePath = None,
    as_json: AsJson = False,
) -> None:
    """Take a model out of CVAT's list and delete its versions."""
    gone = open_workspace(config, home).catalogue.remove(model, keep=keep)
    if as_json:
        out.print_json(json.dumps({"id": model, "deleted": [v.bundle for v in gone]}))
    else:
        say(f"{model}: no longer offered, {len(gone)} versions deleted")


@models.command()
def promote(
    model: Model,
    version: Annotated[
        str | None, typer.Argument(help="Number or hash; that which serves.")
    ] = None,
    project: Project = None,
    config: ConfigPath = None,
    home: HomePath = None,
    as_json: AsJson = False,
) -> None:
    """Let a version of a model serve; no call in progress fails.

    Of the project's own model too: the same as `cvat-bridge promote VERSION`.
    """
    here = open_workspace(config, home)
    if here.is_of_project(model):
        if version is None:
            raise typer.BadParameter("name the version, as `models show` lists them")
        change_serving(here.config, version, as_json=as_json)
        return
    with here.cvat(project) as gateway:
        labels = gateway.labels(project_id=project) if gateway and project else None
    own = here.own_interactor(project)
    _tell(here, here.catalogue.promote(model, version, labels, own), as_json=as_json)


@models.command()
def rollback(
    model: Model, config: ConfigPath = None, home: HomePath = None, as_json: AsJson = False
) -> None:
    """Let the version of a model that served before serve again.

    Of the project's own model too: the same as `cvat-bridge rollback`.
    """
    here = open_workspace(config, home)
    if here.is_of_project(model):
        change_serving(here.config, None, as_json=as_json)
        return
    _tell(here, here.catalogue.rollback(model), as_json=as_json)


@models.command()
def compare(
    first: Annotated[str, typer.Argument(help="A model, or model@version.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    data: Annotated[Path, typer.Option(help="Folder in COCO form: annotations.json, images/.")],
    split: Annotated[str, typer.Option(help="Part of it.")] = "test",
    sheet: Annotated[
        Path | None, typer.Option(help="PNG to draw: frames on which the two differ most.")
    ] = None,
    config: ConfigPath = None,
    home: HomePath = None,
    as_json: AsJson = False,
) -> None:
    """Hold two models against each other on the same frames, as the gate does."""
    from trainer.cli.compare_commands import compare as hold

    catalogue = open_workspace(config, home).catalogue
    one, other = (catalogue.find(name).bundle.path for name in (first, second))
    hold(one, other, data, split=split, sheet=sheet, json_=as_json)


@models.command()
def export(
    model: Annotated[str, typer.Argument(help="A model, or model@version.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.")],
    to: Annotated[str, typer.Option(help="nuclio: ready for `nuctl deploy`.")] = "nuclio",
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Mount the store: a promoted version serves at once."),
    ] = False,
    config: ConfigPath = None,
    home: HomePath = None,
    as_json: AsJson = False,
) -> None:
    """Write a folder that serves one model by itself, without this program."""
    from serverless.export.folder import write_function

    if to != "nuclio":
        raise typer.BadParameter(f"only nuclio is known, found {to!r}", param_hint="--to")
    here = open_workspace(config, home)
    known = here.catalogue.find(model)
    entry = here.catalogue.entry_of(known)
    mounts = (here.store, here.home.bundles) if follow else ()
    written = write_function(entry, folder, mounts=mounts)
    if as_json:
        out.print_json(json.dumps({"folder": str(folder), "command": written}))
    else:
        say(f"{folder}: {entry.name!r}, version {entry.version}\n{written}")


def _tell(here: ModelWorkspace, changed: tuple[Version, Entry], *, as_json: bool) -> None:
    from cvat_bridge.models.entries import shapes_told
    from cvat_bridge.models.trial import settled
    from trainer.bundles.bundle import read_bundle

    champion, entry = changed
    shapes = shapes_told(entry, read_bundle(entry.bundle, verify=False).card)
    fault = settled(here.config.function_host.url, entry)
    if as_json:
        answer = {"number": champion.number, "version": champion.bundle, "function": entry.id}
        out.print_json(json.dumps({**answer, "shapes": shapes, "host": fault or "answering"}))
        return
    say(f"version {champion.number} ({champion.bundle}) serves as {entry.name!r} ({entry.id})")
    if shapes:
        say(f"  {shapes}")
    if fault:
        err.print(fault, markup=False)
