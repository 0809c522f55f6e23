"""Every fault of a configuration at once: types and ranges, and names that nothing answers to.

Reading the file for a command stops at what cannot be read. `check` and `doctor` ask here, where
the names are looked up too: backends, strategies, schedules, devices, folders.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from active_learning.strategies import names as strategies
from cvat_bridge.config import Config, TrainerSection, faults_of, read_mapping, resolved, wrong_keys
from cvat_bridge.errors import ConfigError
from cvat_bridge.projects import load_served
from cvat_bridge.suggestions import did_you_mean
from trainer.backends import backend
from trainer.backends import names as backends
from trainer.errors import ConfigError as FitConfigError
from trainer.errors import TrainerError
from trainer.runs.fit_settings import fit_config


def read_checked(path: Path) -> Config:
    """Read the file; ConfigError with every fault, those of names and places included."""
    collected, config, wrong = _without_faults(path, read_mapping(path))
    # What is right is looked at too, so that one look finds everything.
    more = [] if config is None else [f"{path}: {fault}" for fault in faults(config, wrong)]
    if config is None or collected or more:
        raise ConfigError([*collected, *more])
    if config.projects:
        served = load_served(path)
        more = [
            f"{path}: project {row.id}: {fault}"
            for row in served.projects
            for fault in faults(row.config)
        ]
        if more:
            raise ConfigError(more)
    return config


def faults(config: Config, besides: Collection[str] = ()) -> list[str]:
    """Return a sentence for each fault of a configuration whose types are right.

    besides: dotted keys that are known to be wrong, about which nothing more is said.
    """
    found = [*_selection(config), *_trainer(config), *_names(config), *_places(config)]
    return [text for key, text in found if not any(key.startswith(wrong) for wrong in besides)]


def _selection(config: Config) -> Iterator[tuple[str, str]]:
    chosen = config.active_learning
    for key in ("strategy", "cold_start"):
        name = getattr(chosen, key)
        known = (*strategies(), "auto") if key == "strategy" else strategies()
        if name not in known:
            place = f"active_learning.{key}"
            yield place, f"{place}: no strategy {name!r}; {did_you_mean(name, known)}"


def _trainer(config: Config) -> Iterator[tuple[str, str]]:
    section: TrainerSection = config.trainer
    if section.backend not in backends():
        guess = did_you_mean(section.backend, backends())
        yield "trainer.backend", f"trainer.backend: no backend {section.backend!r}; {guess}"
        # The settings that all backends share are looked at by the default one.
        section = replace(section, backend=TrainerSection.backend, extra={})
    try:
        backend(section.backend).check(fit_config(section.given))
    except FitConfigError as error:
        yield from (("trainer." + text.split(" ")[0], f"trainer: {text}") for text in error.faults)
    except TrainerError as error:
        yield "trainer", f"trainer: {error}"


def _names(config: Config) -> Iterator[tuple[str, str]]:
    for place, url in (("database_url", config.database_url), ("mlflow_url", config.mlflow_url)):
        if url is not None and "://" not in url:
            due = "an address such as sqlite:///rounds.db or postgresql://host/name is expected"
            yield place, f"{place}: {due}, found {url!r}"
    if config.cvat.project is not None and config.cvat.project < 1:
        yield "cvat.project", f"cvat.project: an id from 1 on is expected: {config.cvat.project}"
    name, place = config.function_host.function_id, "function_host.function_id"
    if not name.strip() or "/" in name:
        yield place, f"{place}: a name without slashes is expected, found {name!r}"


def _places(config: Config) -> Iterator[tuple[str, str]]:
    blocked = next(
        (p for p in (config.home, *config.home.parents) if p.exists() and not p.is_dir()), None
    )
    if blocked is not None:
        yield "home", f"home: {blocked} is a file; a folder is expected"
    for place, values in (
        ("rounds.assignees", tuple(map(str, config.rounds.assignees))),
        ("holdout.subsets", config.holdout.subsets),
    ):
        twice = sorted({v for v in values if values.count(v) > 1})
        if twice:
            yield place, f"{place}: {', '.join(twice)} stands there twice"
        if any(not value.strip() for value in values):
            yield place, f"{place}: a name is empty"
    for section, values in config.model_dump().items():
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, float) and not math.isfinite(value):
                place = f"{section}.{key}"
                yield place, f"{place}: a finite number is expected, found {value}"


def _without_faults(path: Path, raw: dict[str, Any]) -> tuple[list[str], Config | None, set[str]]:
    """Return the faults, the configuration without what is wrong, and the keys that are wrong.

    None for a configuration of which too little is right to look at the rest.
    """
    collected: dict[str, None] = {}
    wrong: set[str] = set()
    for _ in range(4):  # what is left out may uncover other faults, never for long
        try:
            return list(collected), resolved(path, Config.model_validate(raw)), wrong
        except ValidationError as error:
            collected |= dict.fromkeys(faults_of(path, error))
            for keys in wrong_keys(error):
                wrong.add(".".join(keys[:2]))
                _drop(raw, keys)
    return list(collected), None, wrong


def _drop(raw: dict[str, Any], keys: list[str]) -> None:
    """Remove a key, or its section where the section itself is no mapping."""
    section = raw.get(keys[0])
    if len(keys) > 1 and isinstance(section, dict):
        raw[keys[0]] = {k: v for k, v in section.items() if str(k) != keys[1]}
    else:
        raw.pop(keys[0], None)
