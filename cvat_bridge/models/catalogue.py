"""The models that people brought: one key of the registry and one function of the host for each.

The key is the function's id. A version that is promoted is published in the same breath, so that
the registry's champion and what CVAT offers are one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import BridgeError, NothingToDoError
from cvat_bridge.home import Home
from cvat_bridge.models.entries import entry_for
from cvat_bridge.models.publishing import shown_labels
from serverless.store.folders import shipped
from serverless.store.functions import Entry, listing, publish, withdraw
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.errors import BundleError, RegistryError
from trainer.registry.registry import Registry
from trainer.registry.versions import Promotion, Version

NAME = "function_name"  # the registry tag with the name that CVAT shows
_BY_HAND = ("by hand",)


@dataclass(frozen=True)
class CatalogueModel:
    """One model: what is published of it, and the version behind that, where there are such."""

    id: str
    entry: Entry | None
    version: Version | None
    bundle: Bundle
    history: tuple[Promotion, ...] = ()

    @property
    def name(self) -> str:
        """What CVAT shows, or showed."""
        if self.entry is not None:
            return self.entry.name
        return self.id if self.version is None else self.version.tags.get(NAME, self.id)


@dataclass(frozen=True)
class ModelCatalogue:
    """The models of one home, and the store in which the function host finds them."""

    registry: Registry
    home: Home
    store: Path

    def put(
        self, entry: Entry, bundle: Bundle, *, tags: dict[str, str]
    ) -> tuple[Version, Entry, bool]:
        """Register a bundle under its function's id, let it serve, and publish it.

        Returns whether it is new, too. What fails leaves nothing behind. Raises RegistryError
        and StoreError, BridgeError when the id is that of a function which is not ours.
        """
        self.check_free(entry.id)
        known = {version.number for version in self.registry.versions(entry.id)}
        before = self.registry.champion(entry.id)
        version = self.registry.register(
            entry.id, bundle, metrics=bundle.card.figures, tags={NAME: entry.name, **tags}
        )
        try:
            champion = self.registry.promote(entry.id, version.number, reasons=("brought",))
            made = replace(entry, bundle=champion.path, version=champion.bundle)
            publish(self.store, made)
        except BaseException:
            if before is not None:
                self.registry.promote(entry.id, before.number, reasons=("the next one failed",))
            if version.number not in known:
                self._forget(entry.id, [version])
            raise
        return champion, made, version.number not in known

    def promote(
        self,
        model: str,
        version: str | None,
        labels: Sequence[Label] | None = None,
        own: Path | None = None,
        *,
        reasons: tuple[str, ...] = _BY_HAND,
    ) -> tuple[Version, Entry]:
        """Let a version serve, the champion again where none is named; see Registry.promote.

        labels: of a project, whose names are shown from now on; own: its own interactor.
        """
        version_number = version or self._champion(model).number
        champion = self.registry.promote(model, version_number, reasons=reasons)
        return champion, self._publish(model, champion, labels, own)

    def rollback(self, model: str, *, reasons: tuple[str, ...] = _BY_HAND) -> tuple[Version, Entry]:
        """Let the version before serve again. Raises RegistryError when there is none."""
        self._champion(model)
        champion = self.registry.rollback(model, reasons=reasons)
        return champion, self._publish(model, champion, None)

    def remove(self, model: str, *, keep: bool) -> list[Version]:
        """Take a model out of CVAT's list, and forget its versions unless they are to be kept.

        Returns what was forgotten. Raises NothingToDoError for a model that is not ours.
        """
        versions = self.registry.versions(model)
        if not versions:
            raise NothingToDoError(f"no model {model!r} was brought; there are: {self._names()}")
        withdraw(self.store, model)
        if keep:
            return []
        self._forget(model, versions)
        return versions

    def known(self) -> tuple[list[CatalogueModel], dict[str, str]]:
        """Return every model that is offered or was brought, and what is wrong with others, by id.

        Those are models whose bundle cannot be read, and files of the store that are no entries.
        """
        stored = listing(self.store)
        entries = {entry.id: entry for entry in (*shipped(), *stored.entries)}
        faults = {fault.path.stem: fault.reason for fault in stored.faults}
        keys = set(self._keys())
        found = []
        for name in sorted(entries.keys() | {key for key in keys if self._brought(key)}):
            entry = entries.get(name)
            version = self.registry.champion(name) if name in keys else None
            path = entry.bundle if entry else version.path if version else None
            if path is None:
                continue
            try:
                found.append(CatalogueModel(name, entry, version, read_bundle(path, verify=False)))
            except BundleError as error:
                faults[name] = str(error)
        return found, faults

    def measured(self) -> dict[str, dict[str, float]]:
        """Return bundle version → figures, of every version of every key in the registry."""
        return {
            version.bundle: dict(version.metrics)
            for key in self._keys()
            for version in self.registry.versions(key)
        }

    def find(self, model: str, version: str | None = None) -> CatalogueModel:
        """Return one model, or a version of it; "model@version" says both.

        Raises RegistryError, naming what there is, when it is not known.
        """
        name, _, of = model.partition("@")
        version_number = version or of
        history = tuple(self.registry.history(name))
        if version_number:
            row = self.registry.show(name, version_number)
            return CatalogueModel(name, None, row, read_bundle(row.path), history)
        models, faults = self.known()
        for one in models:
            if one.id == name:
                return replace(one, bundle=read_bundle(one.bundle.path), history=history)
        if name in faults:
            raise RegistryError(name, faults[name])
        raise RegistryError(name, f"no such model; there are: {self._names()}")

    def entry_of(self, known: CatalogueModel) -> Entry:
        """Return what the host is told of a model, or would be told of a version of it."""
        offered = {entry.id: entry for entry in (*shipped(), *listing(self.store).entries)}
        there = known.entry or offered.get(known.id)
        entry = entry_for(known.id, known.name, known.bundle.card, known.bundle.path, None)
        if there is not None:
            names = known.bundle.card.labels.names
            kept = tuple(label for label in there.labels if label.source in names)
            entry = replace(
                entry,
                name=there.name,
                labels=kept,
                min_score=there.min_score,
                interactor=there.interactor,
                annotations=there.annotations or entry.annotations,
            )
        return replace(entry, version=known.bundle.version)

    def check_free(self, function_id: str) -> None:
        """Raise BridgeError when CVAT offers a function of this id that was not brought."""
        taken = {entry.id for entry in (*shipped(), *listing(self.store).entries)}
        if function_id in taken and not self._brought(function_id):
            raise BridgeError(
                f"CVAT already offers a function {function_id!r} that is not a model people"
                " brought; give another --name"
            )

    def _publish(
        self,
        model: str,
        champion: Version,
        labels: Sequence[Label] | None,
        own: Path | None = None,
    ) -> Entry:
        bundle = read_bundle(champion.path)
        entry = self.entry_of(CatalogueModel(model, None, champion, bundle))
        if labels is not None and entry.kind == "detector":
            shown = shown_labels(bundle.card, {}, labels, own)
            entry = replace(entry, labels=shown, interactor=own)
        publish(self.store, entry)
        return entry

    def _champion(self, model: str) -> Version:
        champion = self.registry.champion(model)
        if champion is None or not self._brought(model):
            raise RegistryError(model, f"no such model was brought; there are: {self._names()}")
        return champion

    def _brought(self, key: str) -> bool:
        return any(NAME in version.tags for version in self.registry.versions(key))

    def _keys(self) -> list[str]:
        return self.registry.keys()

    def _names(self) -> str:
        return ", ".join(key for key in self._keys() if self._brought(key)) or "none"

    def _forget(self, model: str, versions: Sequence[Version]) -> None:
        self.registry.forget(model, [version.number for version in versions])
        used = {row.bundle for key in self._keys() for row in self.registry.versions(key)}
        for version in versions:
            if version.bundle not in used:
                shutil.rmtree(version.path, ignore_errors=True)
