"""The commands of `trainer` for registered models: show, register, promote, rollback."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from trainer.bundles.bundle import read_bundle
from trainer.cli.model_page import model_json, model_page
from trainer.registry.registry import Registry
from trainer.registry.versions import Version

Json = Annotated[bool, typer.Option("--json", help="JSON for machines, on standard output.")]
Home = Annotated[Path, typer.Option(help="Folder of the registry and its bundles.")]
Server = Annotated[str | None, typer.Option(help="MLflow server or database; embedded if unset.")]
_HOME = Path(".cvat-bridge")


def add_model_commands(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    for command in (show, register, promote, rollback):
        app.command()(command)


def show(
    model: Annotated[str, typer.Argument(help="A bundle's folder, or a key of the registry.")],
    version: Annotated[str | None, typer.Argument(help="Number or hash; all if unset.")] = None,
    *,
    home: Home = _HOME,
    mlflow: Server = None,
    json_: Json = False,
) -> None:
    """Print everything known about a model: data, jobs, strategy, base, settings, code, metrics.

    With only a key, list its versions.
    """
    registry = None if (Path(model) / "card.json").exists() else Registry(mlflow, home)
    if registry is None or version is not None:
        found = None if registry is None or version is None else registry.show(model, version)
        bundle = read_bundle(Path(model) if found is None else found.path)
        history = [] if registry is None else registry.history(model)
        values = model_json(bundle, found, history)
        typer.echo(json.dumps(values, indent=1) if json_ else model_page(values))
        return
    versions = registry.versions(model)
    if json_:
        typer.echo(json.dumps([_version_json(v) for v in versions], indent=1))
    for v in versions if not json_ else ():
        typer.echo(_line(v))
    if not versions:
        typer.echo(f"{model}: no version is registered in {registry.tracking_uri}", err=True)
        raise typer.Exit(3)


def register(
    key: str, bundle: Path, *, home: Home = _HOME, mlflow: Server = None, json_: Json = False
) -> None:
    """Store a bundle in the registry; it does not serve yet."""
    found = read_bundle(bundle)
    _print_version(
        Registry(mlflow, home).register(
            key, found, metrics=found.card.figures, params=found.card.settings
        ),
        json_,
    )


def promote(
    key: str, version: str, *, home: Home = _HOME, mlflow: Server = None, json_: Json = False
) -> None:
    """Make a version the registry's champion without the gate; what serves in CVAT stays.

    `cvat-bridge promote VERSION` (a project's model) and `cvat-bridge models promote MODEL VERSION`
    (any other) change the registry and let the version serve in CVAT.
    """
    registry = Registry(mlflow, home)
    if registry.show(key, version).champion:
        typer.echo(f"{key}: {version} is already the champion", err=True)
        raise typer.Exit(3)
    _print_version(registry.promote(key, version, reasons=("by hand",)), json_)
    _warn_serving("promote", f"{key} {version}", key)


def rollback(key: str, *, home: Home = _HOME, mlflow: Server = None, json_: Json = False) -> None:
    """Make the previous version the registry's champion again; what serves in CVAT stays.

    `cvat-bridge rollback` (a project's model) and `cvat-bridge models rollback MODEL` (any other)
    change the registry and let that version serve in CVAT.
    """
    _print_version(Registry(mlflow, home).rollback(key, reasons=("by hand",)), json_)
    _warn_serving("rollback", key, key)


def _warn_serving(command: str, what: str, key: str) -> None:
    """Warn on standard error that the model that serves in CVAT has not changed."""
    typer.echo(
        f"{key}: changed in the registry only; CVAT keeps its present model. "
        f"`cvat-bridge models {command} {what}` changes both",
        err=True,
    )


def _version_json(version: Version) -> dict[str, Any]:
    return asdict(version) | {"path": str(version.path), "created": version.created.isoformat()}


def _line(version: Version) -> str:
    mark = "champion" if version.champion else ""
    ap = version.metrics.get("ap")
    shown = "" if ap is None else f"AP {ap:.3f}"
    return (
        f"{version.number:>4}  {version.bundle}  {version.created:%Y-%m-%d %H:%M}  {shown}  {mark}"
    )


def _print_version(version: Version, as_json: bool) -> None:
    typer.echo(json.dumps(_version_json(version)) if as_json else _line(version))
