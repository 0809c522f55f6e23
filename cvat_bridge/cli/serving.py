"""`cvat-bridge promote` and `rollback`: which of the project's models serves in CVAT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvat_bridge.secrecy import err, out

if TYPE_CHECKING:
    from cvat_bridge.config import Config


ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
_DEFAULT = Path("cvat-bridge.yaml")


def add_serving_commands(app: typer.Typer) -> None:
    """Put the commands of this file into the program."""
    app.command()(promote)
    app.command()(rollback)


def promote(
    version: Annotated[str, typer.Argument(help="Number or hash, as `trainer show` lists them.")],
    config: ConfigPath = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Let a version serve in CVAT by your word, without the gate; no call in progress fails."""
    from cvat_bridge.projects import load_project

    change_serving(load_project(config), version, as_json=as_json)


def rollback(config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Let the model that served before serve again in CVAT."""
    from cvat_bridge.projects import load_project

    change_serving(load_project(config), None, as_json=as_json)


def change_serving(config: Config, version: str | None, *, as_json: bool) -> None:
    """Let a version of the project's model serve and print it; None: the one that served before."""
    from cvat_bridge.config import load_secrets
    from cvat_bridge.cvat.connecting import connected
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of
    from cvat_bridge.models import serving
    from cvat_bridge.models.figures import compared
    from cvat_bridge.models.registries import registry_of

    home = Home.of(config)
    registry = registry_of(config, home)
    before = registry.champion(serving.project_key(config.project_id))
    with connected(config, load_secrets()) as gateway:
        champion, entry = (
            serving.rollback(gateway, config, home, registry)
            if version is None
            else serving.promote(gateway, config, home, registry, version)
        )
    with ledger_of(config) as ledger:
        found = compared(ledger, champion, before, metric=config.promotion.metric)
    if as_json:
        answer = {
            "number": champion.number,
            "version": champion.bundle,
            "function": entry.id,
            "figures": found.now and found.now.to_json(),
            "before": found.before and found.before.to_json(),
            "warnings": list(found.warnings),
        }
        out.print_json(json.dumps(answer))
        return
    out.print(
        f"version {champion.number} ({champion.bundle}) serves as {entry.name!r} ({entry.id})",
        markup=False,
        highlight=False,
    )
    for judged in (found.now, found.before):
        if judged is not None:
            out.print(f"  {judged}", markup=False, highlight=False)
    for warning in found.warnings:
        err.print(f"warning: {warning}", markup=False, highlight=False)
