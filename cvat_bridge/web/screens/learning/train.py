"""The screen *Train*: what there is to learn from and to begin with; a request is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cvat_bridge.config import TrainerSection
from cvat_bridge.errors import BridgeError, ConfigError
from cvat_bridge.project.facts import Facts
from cvat_bridge.training.asked import trainer_settings
from cvat_bridge.training.choice import chosen
from cvat_bridge.training.manual import check_training, run_folder
from cvat_bridge.web.long_work.desk import Desk
from cvat_bridge.web.long_work.kinds.training import choice_of
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.screens.learning.fields import SettingField, setting_fields
from cvat_bridge.web.sites import Site
from trainer.backends import backend, names
from trainer.bundles.bundle import read_bundle
from trainer.errors import ConfigError as FitConfigError
from trainer.errors import TrainerError
from trainer.machine.devices import Device, devices

SCRATCH, FEATURES = "scratch", "features"  # to begin with, besides versions
TASKS = ("boxes", "masks")


@dataclass(frozen=True)
class Amount:
    """A task or subset with its finished frames. held: of those, frames held out by the project."""

    key: str
    words: str
    frames: int
    held: int


@dataclass(frozen=True)
class TrainScreen:
    """What the form offers. unknown: why the finished frames are not known, "" where they are.

    finished, held: frames of all finished jobs, and those that the project holds out, by rule.
    """

    name: str
    bases: tuple[tuple[str, str], ...]
    task: str
    tasks: tuple[Amount, ...]
    subsets: tuple[Amount, ...]
    finished: int
    held: int
    rule: str
    unknown: str
    devices: tuple[Device, ...]
    device: str
    fields: tuple[SettingField, ...]
    works: tuple[Work, ...]
    share: float


@dataclass(frozen=True)
class AskedTraining:
    """What a person asks for. fit: setting → text; empty texts are left out."""

    name: str
    task: str = ""
    base: str = ""
    device: str = ""
    train: Mapping[str, list[Any]] = field(default_factory=dict)
    test: Mapping[str, list[Any]] = field(default_factory=dict)
    share: float | None = None
    fit: Mapping[str, str] = field(default_factory=dict)


def train_screen(site: Site, desk: Desk, *, name: str) -> TrainScreen:
    """Put the form together. Raises BridgeError where the records cannot be read."""
    parts, configured = site.parts, site.config.trainer
    facts, unknown = None, ""
    try:
        facts = parts.gather()
    except BridgeError as error:
        unknown = str(error)
    tasks, subsets = _amounts(facts) if facts is not None else ((), ())
    return TrainScreen(
        name=name,
        bases=_bases(site),
        task=_task_of(configured),
        tasks=tasks,
        subsets=subsets,
        finished=sum(one.frames for one in tasks),
        held=sum(one.held for one in tasks),
        rule=facts.holdout_rule if facts is not None else "none",
        unknown=unknown,
        devices=devices(),
        device=configured.device,
        fields=setting_fields(configured),
        works=desk.works["train"].all()[:10],
        share=site.config.holdout.share or 0.2,
    )


def checked(site: Site, asked: AskedTraining) -> dict[str, Any]:
    """Return the request of a training; ConfigError with every fault before anything is begun.

    Raises GatewayError where CVAT does not say what is finished.
    """
    faults: list[str] = []
    settings: TrainerSection | None = None
    try:
        settings = _settings(site, asked)
    except ConfigError as error:
        faults += error.faults
    try:
        check_training(settings or site.config.trainer, asked.name)
    except ConfigError as error:
        faults += [one for one in error.faults if settings is not None or "name" in one]
    if not faults and run_folder(site.parts.home, asked.name).exists():
        faults.append(f"the run's name is taken: there is a training {asked.name!r} already")
    faults += _device_faults(settings)
    request: dict[str, Any] = {
        "name": asked.name,
        "train": _part(asked.train),
        "test": _part(asked.test),
        "share": asked.share,
        "base": asked.base or FEATURES,
        "settings": {},
    }
    try:
        chosen(site.parts.gather(), choice_of(request))
    except ConfigError as error:
        faults += error.faults
    if faults or settings is None:
        raise ConfigError(list(dict.fromkeys(faults)))
    return request | {"settings": settings.shown}


def _settings(site: Site, asked: AskedTraining) -> TrainerSection:
    """Return the trainer section that a request leads to. Raises ConfigError."""
    pairs = [f"{name}={text.strip()}" for name, text in asked.fit.items() if text.strip()]
    if asked.device:
        pairs.append(f"device={asked.device}")
    configured = site.config.trainer
    given = str(asked.fit.get("backend") or configured.backend)
    extra = ["backbone=none"] if asked.base == SCRATCH and given == "centernet" else []
    if asked.base not in ("", SCRATCH, FEATURES):
        path, engine = _version(site, asked.base)
        if engine in names() and not asked.fit.get("backend"):
            pairs.append(f"backend={engine}")
        pairs.append(f"base={path}")
    elif asked.base:
        pairs.append("base=null")
    task = asked.task if asked.task and asked.task != _task_of(configured) else None
    if asked.task not in ("", *TASKS):
        raise ConfigError([f"task {asked.task!r}: choose boxes or masks"])
    return trainer_settings(configured, pairs, extra, task)


def _version(site: Site, reference: str) -> tuple[str, str]:
    """Return the folder and the engine of a registered version; ConfigError for an unknown one."""
    key, _, number = reference.partition("@")
    if reference not in {row for row, _ in _bases(site)}:
        raise ConfigError([f"base {reference!r}: there is no such model (any more)"])
    try:
        path = site.parts.registry.show(key, number).path
        return str(path), read_bundle(path, verify=False).card.engine
    except TrainerError as error:
        raise ConfigError([f"base {reference!r}: {error}"]) from error


def _bases(site: Site) -> tuple[tuple[str, str], ...]:
    """Return what a training can begin with: reference → words."""
    parts = site.parts
    found = [(FEATURES, "Pretrained features that ship"), (SCRATCH, "From scratch")]
    for row in parts.registry.versions(parts.key):
        serves = ", serves now" if row.champion else ""
        ap = row.metrics.get("ap")
        figure = "" if ap is None else f", AP {ap:.3f}"
        found.append((f"{parts.key}@{row.number}", f"Version {row.number}{serves}{figure}"))
    return tuple(found)


def _task_of(configured: TrainerSection) -> str:
    """Return what the project's rounds train: "boxes" or "masks"."""
    own = configured.extra.get("task")
    if own in TASKS:
        return str(own)
    try:
        known = backend(configured.backend).tasks
    except FitConfigError:
        return TASKS[0]
    return next((task for task in TASKS if task in known), TASKS[0])


def _device_faults(settings: TrainerSection | None) -> list[str]:
    if settings is None:
        return []
    there = {one.name for one in devices()}
    kind, _, numbers = settings.device.partition(":")
    asked = [f"{kind}:{n}" for n in numbers.split(",")] if numbers else [kind]
    asked = ["cuda:0" if one == "cuda" else one for one in asked]
    missing = [one for one in asked if one not in there and one != "mps"]
    if not missing:
        return []
    return [f"device {', '.join(missing)} is not on this machine; there are {', '.join(there)}"]


def _amounts(facts: Facts) -> tuple[tuple[Amount, ...], tuple[Amount, ...]]:
    tasks: dict[int, list[int]] = {}
    subsets: dict[str, list[int]] = {}
    for job in facts.jobs:
        subset = facts.tasks[job.task_id].subset
        for counts in (
            tasks.setdefault(job.task_id, [0, 0]),
            subsets.setdefault(subset, [0, 0]),
        ):
            counts[0] += len(job.frames)
            counts[1] += len(job.frames) if job.held_out else 0
    return (
        tuple(
            Amount(str(number), f"{number} · {facts.tasks[number].name}", *tasks[number])
            for number in sorted(tasks)
        ),
        tuple(Amount(name, name or "(none)", *subsets[name]) for name in sorted(subsets)),
    )


def _part(given: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {kind: list(given.get(kind) or ()) for kind in ("tasks", "jobs", "subsets")}
