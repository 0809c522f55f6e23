"""Which projects one service works on, and the configuration of each.

What they share and where they differ stands in the configuration file; what `cvat-bridge projects`
adds, pauses and removes stands in `projects.json` in home, which a running service reads again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from cvat_bridge.config import (
    Config,
    ProjectSection,
    faults_of,
    load_config,
    read_mapping,
    resolved,
)
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from trainer.data.files import parse_json

State = Literal["active", "paused", "removed"]
_FILE = "projects.json"
_WHICH = "which project is meant? Name it: `cvat-bridge --project ID …` (there are {names})"
_NOT_HERE = "there is no project {id} here, only {names}; `cvat-bridge projects add {id}` adds it"
_NONE = "cvat.project: no project is set; run `cvat-bridge init`"
# Sections in which a project may differ from the others.
_OWN = tuple(set(ProjectSection.model_fields) - {"id", "paused", "organization"})

# The project that a command line names; every command reads its configuration by it.
chosen: ContextVar[int | None] = ContextVar("chosen", default=None)


@dataclass(frozen=True)
class ServedProject:
    """One project of a service. origin: whether the file names it, or a command added it."""

    id: int
    config: Config
    paused: bool
    origin: Literal["configuration", "command"]


@dataclass(frozen=True)
class ServedProjects:
    """All projects of a configuration, by rising id; `shared` is the file as it stands."""

    shared: Config
    projects: tuple[ServedProject, ...]

    def active(self) -> dict[int, Config]:
        """Return the configurations of the projects that are worked on."""
        return {row.id: row.config for row in self.projects if not row.paused}

    def of(self, project_id: int | None) -> ServedProject:
        """Return the project that is meant; ConfigError where that is none, or unclear."""
        known = {row.id: row for row in self.projects}
        names = ", ".join(map(str, known)) or "none"
        if project_id is None and len(known) == 1:
            return next(iter(known.values()))
        if project_id is None:
            raise ConfigError([_WHICH.format(names=names) if known else _NONE])
        if project_id not in known:
            raise ConfigError([_NOT_HERE.format(id=project_id, names=names)])
        return known[project_id]


def load_served(path: Path) -> ServedProjects:
    """Read the file and what commands changed; ConfigError lists every fault of every project."""
    shared, raw = load_config(path), read_mapping(path)
    changes = read_changes(shared.home)
    rows: dict[int, ServedProject] = {}
    faults: list[str] = []
    listed = {section.id: section for section in shared.projects}
    if len(listed) < len(shared.projects):
        ids = [section.id for section in shared.projects]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        faults.append(f"{path}: projects: {', '.join(map(str, twice))} stands there twice")
    added = [number for number, row in changes.items() if row.state != "removed"]
    alone = shared.cvat.project
    for number in sorted({*listed, *added, *([] if alone is None else [alone])}):
        recorded = changes.get(number)
        if recorded is not None and recorded.state == "removed":
            continue
        section = listed.get(number, ProjectSection(id=number))
        if section.organization is None and recorded is not None:
            section = section.model_copy(update={"organization": recorded.organization})
        # A word of the command line is later than the file's.
        paused = section.paused if recorded is None else recorded.state == "paused"
        origin: Literal["configuration", "command"] = (
            "configuration" if number in listed or number == alone else "command"
        )
        try:
            config = _config_of(path, raw, shared, section)
        except ConfigError as error:
            faults += error.faults
        else:
            rows[number] = ServedProject(number, config, paused, origin)
    if faults:
        raise ConfigError(faults)
    return ServedProjects(shared, tuple(rows.values()))


def load_project(path: Path, *, needed: bool = True) -> Config:
    """Read the configuration of the project that the command line chose, or of the only one.

    needed: whether the command is about one project; else what all share is read where none is
    chosen, or where the file names none.
    """
    served, number = load_served(path), chosen.get()
    if number is None and (not served.projects or (not needed and len(served.projects) > 1)):
        return served.shared
    return served.of(number).config


@dataclass(frozen=True)
class Change:
    """What a command said of a project. organization: where it lives, None where not known."""

    state: State
    organization: str | None = None


def projects_file(home: Path) -> Path:
    """Return where the words of commands are kept."""
    return home / _FILE


def read_changes(home: Path) -> dict[int, Change]:
    """Return what commands said of projects, by id. Raises ConfigError for a damaged file."""
    path = projects_file(home)
    try:
        rows = parse_json(path.read_bytes())
        return TypeAdapter(dict[int, Change]).validate_python(rows)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); remove it to start anew"]) from error


def change(home: Path, project_id: int, state: State, *, organization: str | None = None) -> None:
    """Note what a command says of a project; a running service takes it up within seconds."""
    known = read_changes(home)
    before = known.get(project_id, Change(state))
    rows = {**known, project_id: Change(state, organization or before.organization)}
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = home / f".{_FILE}.{os.getpid()}"
    part.write_text(
        json.dumps({str(number): asdict(row) for number, row in sorted(rows.items())}),
        encoding="utf-8",
    )
    part.replace(projects_file(home))


def _config_of(
    path: Path, raw: Mapping[str, Any], shared: Config, section: ProjectSection
) -> Config:
    """Return the configuration of one project; ConfigError names the project of each fault."""
    merged = {key: value for key, value in raw.items() if key != "projects"}
    for name in _OWN:
        own = getattr(section, name)
        if own:
            merged[name] = _over(merged.get(name) or {}, own)
    merged["cvat"] = {**(merged.get("cvat") or {}), "project": section.id}
    if section.organization is not None:
        merged["cvat"]["organization"] = section.organization
    try:
        config = resolved(path, Config.model_validate(merged))
    except ValidationError as error:
        raise ConfigError(faults_of(f"{path}: project {section.id}", error)) from error
    if section.id == shared.cvat.project:
        return config  # the one of old, in the folder of old
    host = config.function_host
    if "function_id" not in {**(raw.get("function_host") or {}), **section.function_host}:
        host = host.model_copy(update={"function_id": f"champion-{section.id}"})
    return config.model_copy(
        update={
            "home": Home(shared.home).of_project(section.id),
            "library": shared.library or shared.home,
            "function_host": host,
        }
    )


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two mappings as one; where both hold a mapping, these are joined too."""
    both = {
        key: _over(under[key], value)
        if isinstance(value, Mapping) and isinstance(under.get(key), Mapping)
        else value
        for key, value in over.items()
    }
    return {**under, **both}
