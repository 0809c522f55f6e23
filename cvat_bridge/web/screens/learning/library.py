"""The screen *Models*: the project's versions, what people brought, and what ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from cvat_bridge.models import serving
from cvat_bridge.models.catalogue import NAME, CatalogueModel
from cvat_bridge.models.figures import Comparison
from cvat_bridge.models.figures import compared as figures_of
from cvat_bridge.training.micro_model import key_of
from cvat_bridge.web.long_work.desk import Desk
from cvat_bridge.web.long_work.kinds.bringing import shelf_of
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import RefusedError
from cvat_bridge.web.screens.learning.offered import OfferedModel, offered_models
from cvat_bridge.web.sites import Site
from serverless.store.functions import entries
from trainer.bundles.bundle import read_bundle
from trainer.cli.model_page import model_json
from trainer.data.dataset import load_dataset
from trainer.errors import RegistryError, TrainerError
from trainer.registry.versions import Promotion, Version, served

_SNAPSHOTS = 5  # the newest ones that can be compared on


@dataclass(frozen=True)
class VersionRow:
    """A version of the project. origin: what it was learnt from, in words. served: its changes."""

    version: Version
    origin: str
    served: tuple[Promotion, ...]


@dataclass(frozen=True)
class BroughtRow:
    """A model that people brought, or one that ships. offered: whether CVAT lists it."""

    id: str
    name: str
    task: str
    engine: str
    classes: tuple[str, ...]
    number: int | None
    figures: Mapping[str, float]
    licence: str
    offered: bool


@dataclass(frozen=True)
class TestFrames:
    """A snapshot with labelled test frames. made: ISO 8601."""

    fingerprint: str
    made: str
    frames: int


@dataclass(frozen=True)
class Library:
    """What the screen shows. interactors: the project's own click models. faults: id → reason."""

    versions: tuple[VersionRow, ...]
    interactors: tuple[VersionRow, ...]
    brought: tuple[BroughtRow, ...]
    shipped: tuple[BroughtRow, ...]
    faults: Mapping[str, str]
    offered: tuple[OfferedModel, ...]
    tests: tuple[TestFrames, ...]
    works: tuple[Work, ...]


@dataclass(frozen=True)
class Change:
    """What a promotion or rollback would do. figures: of the new and the old one."""

    now: Version
    before: Version | None
    figures: Comparison


def library(site: Site, desk: Desk) -> Library:
    """Put the screen together. Raises BridgeError, TrainerError."""
    parts = site.parts
    shelf = shelf_of(site)
    known, faults = shelf.known()
    measured = shelf.measured() if known else {}
    brought = [one for one in known if _is_brought(one)]
    ours = {entry.id for entry in entries(parts.functions)}
    registered = parts.registry.keys()
    works = [*desk.works["bring"].all()[:5], *desk.works["compare"].all()[:5]]
    return Library(
        versions=_versions(site, parts.key),
        interactors=_versions(site, key_of(parts.key)),
        brought=tuple(_row(one, measured) for one in brought),
        shipped=tuple(
            _row(one, measured) for one in known if one not in brought and one.id not in ours
        ),
        faults={name: why for name, why in faults.items() if name not in registered},
        offered=offered_models(site),
        tests=test_frames(site),
        works=tuple(sorted(works, key=lambda one: one.asked, reverse=True)),
    )


def keys_of(site: Site) -> tuple[str, ...]:
    """Return the registry keys that a person may look into: the project's, and what was brought."""
    parts = site.parts
    registered = parts.registry.keys()
    brought = [
        key
        for key in registered
        if any(NAME in version.tags for version in parts.registry.versions(key))
    ]
    return (parts.key, key_of(parts.key), *brought)


def version_of(site: Site, key: str, number: str) -> Version:
    """Return a version; RefusedError 404 for one that is not here (any more)."""
    try:
        if key in keys_of(site):
            return site.parts.registry.show(key, number)
    except RegistryError:
        pass
    raise RefusedError(
        404,
        f"There is no version {number} of {key} here (any more).",
        "It may have been removed meanwhile.",
    )


def about(site: Site, key: str, number: str) -> dict[str, Any]:
    """Return all that is known of a version: its card, its provenance, when it served and why."""
    found = version_of(site, key, number)
    history = site.parts.registry.history(key)
    values = model_json(read_bundle(found.path, verify=False), found, history)
    return {name: value for name, value in values.items() if name != "path"}


def change_of(site: Site, key: str, number: str | None) -> Change:
    """Return what promoting a version, or with None rolling back, would put in the place of what.

    Raises RefusedError where there is no such version, or none to go back to.
    """
    registry = site.parts.registry
    before = registry.champion(key) if key in keys_of(site) else None
    if number is None:
        stack = served(registry.history(key), before.number) if before is not None else []
        if len(stack) < 2:
            raise RefusedError(409, "There is no earlier model to go back to.")
        number = str(stack[-2])
    now = version_of(site, key, number)
    metric = site.config.promotion.metric
    return Change(now, before, figures_of(site.parts.ledger, now, before, metric=metric))


def promote(site: Site, key: str, number: str, *, who: str, why: str) -> Version:
    """Let a version serve by a person's word, recorded with their name. See models.serving."""
    version_of(site, key, number)
    parts, reasons = site.parts, _reasons(who, why)
    if key == parts.key:
        return serving.promote(
            parts.gateway, site.config, parts.home, parts.registry, number, reasons=reasons
        )[0]
    if key == key_of(parts.key):
        return parts.registry.promote(key, number, reasons=reasons)
    return shelf_of(site).promote(key, number, reasons=reasons)[0]


def roll_back(site: Site, key: str, *, who: str, why: str) -> Version:
    """Let the version before serve again by a person's word, recorded with their name."""
    change_of(site, key, None)
    parts, reasons = site.parts, _reasons(who, why)
    if key == parts.key:
        return serving.rollback(
            parts.gateway, site.config, parts.home, parts.registry, reasons=reasons
        )[0]
    if key == key_of(parts.key):
        return parts.registry.rollback(key, reasons=reasons)
    return shelf_of(site).rollback(key, reasons=reasons)[0]


def test_frames(site: Site) -> tuple[TestFrames, ...]:
    """Return the newest snapshots that hold labelled test frames, newest first."""
    try:
        folders = [path for path in site.parts.home.snapshots.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return ()
    dated = sorted(((path.stat().st_mtime, path) for path in folders), reverse=True)
    found: list[TestFrames] = []
    for at, path in dated[: 4 * _SNAPSHOTS]:
        frames = _held(path)
        if frames and len(found) < _SNAPSHOTS:
            made = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")
            found.append(TestFrames(path.name, made, frames))
    return tuple(found)


@cache
def _held(snapshot: Path) -> int:
    """Count the labelled test frames of a snapshot, which never changes; 0 for a broken one."""
    try:
        return len(load_dataset(snapshot).split("holdout"))
    except TrainerError:
        return 0


def _versions(site: Site, key: str) -> tuple[VersionRow, ...]:
    registry = site.parts.registry
    history = registry.history(key)
    return tuple(
        VersionRow(row, _origin(row), tuple(one for one in history if one.number == row.number))
        for row in registry.versions(key)
    )


def _origin(row: Version) -> str:
    if row.params.get("round"):
        return f"round {row.params['round']}"
    if row.params.get("run"):
        return f"training {row.params['run']}"
    return row.tags.get("source") or "brought"


def _is_brought(one: CatalogueModel) -> bool:
    return one.version is not None and NAME in one.version.tags


def _row(one: CatalogueModel, measured: Mapping[str, Mapping[str, float]]) -> BroughtRow:
    card = one.bundle.card
    return BroughtRow(
        one.id,
        one.name,
        card.task,
        card.engine,
        card.labels.names,
        one.version.number if one.version else None,
        {**card.figures, **measured.get(one.bundle.version, {})},
        card.licence,
        one.entry is not None,
    )


def _reasons(who: str, why: str) -> tuple[str, ...]:
    said = " ".join(why.split())[:200]
    return (f"by hand, {who}: {said}" if said else f"by hand, {who}",)
