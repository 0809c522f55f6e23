"""Which model is meant: a bundle's folder, a function of the store, a version of the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cvat_bridge.errors import ConfigError
from cvat_bridge.models.publishing import LABEL_IDS
from serverless.store.folders import shipped
from serverless.store.functions import Entry, entries
from trainer.bundles.bundle import CARD, Bundle, read_bundle
from trainer.errors import RegistryError
from trainer.registry.registry import Registry
from trainer.registry.versions import Version


@dataclass(frozen=True)
class ChosenModel:
    """A detector's bundle and what is known of how its classes appear in CVAT.

    names: CVAT label of each class that is shown; every class under its own name where nobody
    said otherwise. label_ids: CVAT's id of the label that a class was learnt from. min_score: for
    all classes, None leaves it to the card.
    """

    bundle: Bundle
    name: str
    names: Mapping[str, str]
    label_ids: Mapping[str, int] = field(default_factory=dict)
    min_score: float | None = None

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.bundle.version

    def least(self, asked: float | None) -> dict[str, float]:
        """Return the score that each class must reach: as asked, the function's or the card's."""
        card = self.bundle.card
        fixed = asked if asked is not None else self.min_score
        return {name: card.min_score_of(name) if fixed is None else fixed for name in card.labels}


def choose_model(
    reference: str,
    *,
    store: Path,
    registry: Callable[[], Registry],
    project_key: str | None = None,
    interactors: bool = False,
) -> ChosenModel:
    """Find the model that a person named.

    reference: a folder with a card.json; else the id or name of a function, published or shipped;
    else `<key>` or `<key>@<version>` of the registry (the key's champion, or its newest version
    where none serves); else a version of project_key. registry: asked for only when it is needed.
    interactors: whether one will do too. Raises ConfigError, naming what there is, when nothing
    that will do answers to the name, and BundleError for a bundle that is not what its card says.
    """
    found = _find(reference, store, registry, project_key)
    if found.bundle.card.task == "interactor" and not interactors:
        raise ConfigError([f"model {reference!r} answers clicks; a detector is needed here"])
    return found


def _find(
    reference: str, store: Path, registry: Callable[[], Registry], project_key: str | None
) -> ChosenModel:
    folder = Path(reference).expanduser()
    if (folder / CARD).is_file():
        return _of_bundle(read_bundle(folder), folder.name)
    if folder.exists():
        fault = (
            f"model {reference!r} is a file or folder without {CARD}. A file of weights is taken "
            "in by `cvat-bridge models add FILE`; then name the model"
        )
        raise ConfigError([fault])
    for entry in (*entries(store), *shipped()):
        if reference in (entry.id, entry.name):
            return _of_entry(entry)
    return _of_registry(reference, store, registry(), project_key)


def _of_bundle(bundle: Bundle, name: str) -> ChosenModel:
    return ChosenModel(bundle, name, {label: label for label in bundle.card.labels})


def _of_entry(entry: Entry) -> ChosenModel:
    bundle = read_bundle(entry.bundle, version=entry.version)
    plain = _of_bundle(bundle, entry.id)
    names = {label.source: label.name for label in entry.labels} or plain.names
    return ChosenModel(bundle, entry.id, names, min_score=entry.min_score)


def _of_registry(
    reference: str, store: Path, registry: Registry, project_key: str | None
) -> ChosenModel:
    key, _, number = reference.partition("@")
    keys = registry.keys()
    if key in keys:
        version = registry.show(key, number) if number else _serving(registry, key)
    elif project_key in keys and not number:
        try:
            version = registry.show(str(project_key), reference)
        except RegistryError as error:
            raise _unknown(reference, store, keys) from error
    else:
        raise _unknown(reference, store, keys)
    chosen = _of_bundle(read_bundle(version.path, version=version.bundle), version.key)
    ids = json.loads(version.tags.get(LABEL_IDS, "{}"))
    return ChosenModel(chosen.bundle, f"{version.key}@{version.number}", chosen.names, ids)


def _serving(registry: Registry, key: str) -> Version:
    champion = registry.champion(key)
    return champion or registry.show(key, registry.versions(key)[0].number)


def _unknown(reference: str, store: Path, keys: list[str]) -> ConfigError:
    functions = [entry.id for entry in entries(store) if entry.kind == "detector"]
    fault = (
        f"no model answers to {reference!r}. Functions of the store {store}: "
        f"{', '.join(functions) or 'none'}; names in the registry: {', '.join(keys) or 'none'}; or "
        "give the folder of a bundle"
    )
    return ConfigError([fault])
