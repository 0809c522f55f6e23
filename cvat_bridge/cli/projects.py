"""`cvat-bridge projects`: which projects of a CVAT the service works on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import out

if TYPE_CHECKING:
    from cvat_bridge.projects import ServedProject, State

projects = typer.Typer(
    no_args_is_help=True, help="Which projects of a CVAT the service works on; no restart needed."
)
ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
Project = Annotated[int, typer.Argument(help="Id of the project in CVAT.", min=1)]
_DEFAULT = Path("cvat-bridge.yaml")


@projects.command(name="list")
def list_(config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Show every project with its state, its folder and what its models are called in CVAT."""
    from cvat_bridge.projects import load_served

    rows = [_row(row) for row in load_served(config).projects]
    if as_json:
        out.print_json(json.dumps(rows))
        return
    for row in rows:
        out.print(
            f"{row['id']}: {row['state']} (named by the {row['origin']}); serves as "
            f"{row['function']}; its records lie in {row['home']}",
            markup=False,
            highlight=False,
        )
    if not rows:
        out.print("no project yet: `cvat-bridge projects add ID`", markup=False)


@projects.command()
def add(project: Project, config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Work on a project too, once CVAT has shown it, and let CVAT tell what changes there."""
    from cvat_bridge.cli.setup import add_webhook
    from cvat_bridge.config import load_secrets
    from cvat_bridge.cvat.connecting import connected
    from cvat_bridge.projects import change, load_served

    before = load_served(config)
    if any(row.id == project and not row.paused for row in before.projects):
        raise ConfigError([f"project {project} is worked on already"])
    secrets = load_secrets()
    with connected(before.shared, secrets) as gateway:
        found = gateway.project(project)
        slug = None
        if found.organization is not None:
            slug = gateway.organization_slug(found.organization)
        change(before.shared.home, project, "active", organization=slug)
        webhook = add_webhook(gateway, before.shared, project, secrets)
    _said(project, config, as_json, f"project {project} ({found.name}) is worked on now. {webhook}")


@projects.command()
def pause(project: Project, config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Begin nothing more in a project; the step under way ends, what serves goes on serving."""
    _change(project, config, "paused", as_json)


@projects.command()
def resume(project: Project, config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Go on with a paused project."""
    _change(project, config, "active", as_json)


@projects.command()
def remove(project: Project, config: ConfigPath = _DEFAULT, as_json: AsJson = False) -> None:
    """Work on a project no more; its records and models stay, and `add` takes them up again."""
    _change(project, config, "removed", as_json)


_WORDS: dict[State, str] = {
    "active": "is worked on",
    "paused": "is paused",
    "removed": "is removed; its records stay where they are",
}


def _change(project: int, config: Path, state: State, as_json: bool) -> None:
    from cvat_bridge.projects import change, load_served

    served = load_served(config)
    served.of(project)
    change(served.shared.home, project, state)
    _said(project, config, as_json, f"project {project} {_WORDS[state]}")


def _said(project: int, config: Path, as_json: bool, text: str) -> None:
    if as_json:
        from cvat_bridge.projects import load_served

        rows = [_row(row) for row in load_served(config).projects if row.id == project]
        out.print_json(json.dumps(rows[0] if rows else {"id": project, "state": "removed"}))
    else:
        out.print(text, markup=False, highlight=False)


def _row(row: ServedProject) -> dict[str, object]:
    return {
        "id": row.id,
        "state": "paused" if row.paused else "active",
        "origin": row.origin,
        "function": row.config.function_host.function_id,
        "home": str(row.config.home),
    }
