"""The model registry: which versions there are, which one serves, which one served before.

It is built on MLflow: an embedded SQLite file by default, or any MLflow server by its URL. A key
(one per project and task) is a registered model, the serving version has the alias `champion`, and
every promotion is a tag, so that MLflow's own pages show the same state. The bundle itself is
stored once, in <artifact_root>/bundles/<version>; an MLflow server also receives a copy, so that
other machines can download it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.blobs.errors import BlobError
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.bundles.kept_bundles import keep_bundle
from trainer.bundles.shared_bundles import bring_bundle, share_bundle
from trainer.errors import BundleError, ConfigError, RegistryError
from trainer.registry.mlflow_access import client_of, mlflow_errors, pages
from trainer.registry.version_rows import CHAMPION, VersionRows
from trainer.registry.versions import Promotion, Version, served

__all__ = ["CHAMPION", "Promotion", "Registry", "Version"]


class Registry:
    """The versions of all keys, and the champion of each.

    tracking_uri: None for the embedded store, or a server ("http://…") or database ("sqlite:///…",
    "postgresql://…") supported by MLflow. artifact_root: the folder with bundles/ (and the embedded
    store). blobs: store of artefacts from which other machines get the bundles; None where there
    is one machine, or a server of MLflow passes them on. Nothing is opened before the first call.
    """

    def __init__(
        self, tracking_uri: str | None, artifact_root: Path, *, blobs: BlobStore | None = None
    ) -> None:
        self._blobs = blobs
        self.artifact_root = Path(artifact_root).resolve()
        self.tracking_uri = tracking_uri or f"sqlite:///{self.artifact_root / 'mlflow.db'}"

    @property
    def bundles(self) -> Path:
        """Return the folder of bundles, one folder per version."""
        return self.artifact_root / "bundles"

    def register(
        self,
        key: str,
        bundle: Bundle,
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Version:
        """Store the bundle as a new version; the same bundle is registered once per key.

        Does not make it serve. Raises ConfigError when the key is not a valid name and
        RegistryError when the store cannot be reached.
        """
        _check_key(key)
        folder = keep_bundle(bundle, self.bundles)
        if self._blobs is not None:
            try:
                share_bundle(self._blobs, read_bundle(folder, version=bundle.version))
            except BlobError as error:
                raise RegistryError(key, f"the bundle is not stored for others: {error}") from error
        found = self._find(key, bundle.version)
        if found is not None:
            return found
        with mlflow_errors(key, self.tracking_uri):
            return self._rows.create(
                key, folder, metrics=metrics or {}, params=params or {}, tags=tags or {}
            )

    def measured(
        self, key: str, version: int | str, figures: Mapping[str, float | None], *, step: int
    ) -> None:
        """Add later measurements of a version, so that MLflow charts them over the steps.

        step: the round, say; the newest is what the version shows. None is left out. Raises
        RegistryError when no version answers to the name.
        """
        known = {name: figure for name, figure in figures.items() if figure is not None}
        found = self.show(key, version)
        with mlflow_errors(key, self.tracking_uri):
            self._rows.measured(found, known, step)

    def champion(self, key: str) -> Version | None:
        """Return the version that serves, or None if none has been promoted."""
        _check_key(key)
        with mlflow_errors(key, self.tracking_uri):
            found = self._rows.champion(key)
            return None if found is None else self._here(found)

    def versions(self, key: str) -> list[Version]:
        """Return all versions of the key, newest first; may be empty."""
        _check_key(key)
        with mlflow_errors(key, self.tracking_uri):
            model = self._rows.model(key)
            if model is None:
                return []
            champion = model.aliases.get(CHAMPION)
            found = [
                self._rows.version(v, None if champion is None else int(champion))
                for v in pages(self._client.search_model_versions, f"name='{key}'")
            ]
        return sorted(found, key=lambda v: -v.number)

    def keys(self) -> list[str]:
        """Return all keys that have a version, sorted."""
        with mlflow_errors("registry", self.tracking_uri):
            return sorted(m.name for m in pages(self._client.search_registered_models, None))

    def show(self, key: str, version: int | str) -> Version:
        """Return a version by its number, its bundle's version or a prefix of at least 6 digits.

        Raises RegistryError, which lists the versions, when none or several match.
        """
        known = self.versions(key)
        text = str(version)
        found = [
            v
            for v in known
            if text in (str(v.number), v.bundle) or (len(text) >= 6 and v.bundle.startswith(text))
        ]
        if len(found) == 1:
            return self._here(found[0])
        there = ", ".join(f"{v.number} ({v.bundle[:12]})" for v in known) or "none"
        how_many = f"{len(found)} versions match" if found else "no version matches"
        raise RegistryError(key, f"{how_many} {text!r}; known are: {there}")

    def promote(self, key: str, version: int | str, *, reasons: tuple[str, ...] = ()) -> Version:
        """Make a version the champion; promoting the champion again has no effect.

        Raises BundleError, before anything is changed, when its bundle is missing or damaged.
        """
        return self._serve(key, self.show(key, version), "promote", reasons)

    def rollback(self, key: str, *, reasons: tuple[str, ...] = ()) -> Version:
        """Make the previous champion the champion again, and return it.

        Rolling back twice goes back two. Raises RegistryError when there is no earlier one.
        """
        champion = self.champion(key)
        stack = served(self.history(key), None if champion is None else champion.number)
        if len(stack) < 2:
            raise RegistryError(key, "there is no earlier champion to roll back to")
        return self._serve(key, self.show(key, stack[-2]), "rollback", reasons)

    def forget(self, key: str, numbers: Sequence[int]) -> None:
        """Remove versions from the registry, and the key with its last version.

        The bundles stay: another key may have registered the same one. Raises RegistryError when
        there is no such version.
        """
        with mlflow_errors(key, self.tracking_uri):
            for number in numbers:
                self._client.delete_model_version(key, str(number))
            if not self.versions(key):
                self._client.delete_registered_model(key)

    def whole(self, version: Version) -> Version:
        """Return a version with an undamaged local bundle, fetched from elsewhere if needed.

        Raises BundleError where it is gone or damaged and nobody else has it, RegistryError.
        """
        try:
            read_bundle(version.path, version=version.bundle)
        except BundleError:
            if not self._remote and self._blobs is None:
                raise
            shutil.rmtree(version.path, ignore_errors=True)
            read_bundle(self._here(version).path, version=version.bundle)
        return version

    def history(self, key: str) -> list[Promotion]:
        """Return every change of champion, oldest first."""
        _check_key(key)
        with mlflow_errors(key, self.tracking_uri):
            return self._rows.history(key)

    def _serve(self, key: str, version: Version, action: str, reasons: tuple[str, ...]) -> Version:
        if version.champion:
            return version
        read_bundle(version.path, version=version.bundle)
        change = Promotion(version.number, action, datetime.now(timezone.utc), reasons)
        with mlflow_errors(key, self.tracking_uri):
            self._rows.serve(key, change)
        return self.show(key, version.number)

    def _find(self, key: str, bundle_version: str) -> Version | None:
        return next((v for v in self.versions(key) if v.bundle == bundle_version), None)

    def _here(self, version: Version) -> Version:
        """Get the bundle from the store, or the server, when another machine registered it."""
        if not version.bundle:
            raise RegistryError(
                version.key,
                f"version {version.number} names no bundle: its tag 'bundle' is missing or another "
                "program registered it. `trainer register` the bundle again",
            )
        if self._blobs is not None and not version.path.exists():
            try:
                bring_bundle(self._blobs, version.bundle, version.path)
            except BlobError as error:
                raise RegistryError(version.key, str(error)) from error
        if self._remote and not version.path.exists():
            self.bundles.mkdir(parents=True, exist_ok=True)
            entity = self._client.get_model_version(version.key, str(version.number))
            with (
                mlflow_errors(version.key, self.tracking_uri),
                tempfile.TemporaryDirectory(dir=self.bundles, prefix=".part-") as scratch,
            ):
                copy = self._client.download_artifacts(entity.run_id, "bundle", scratch)
                Path(copy).rename(version.path)
        return version

    @property
    def _remote(self) -> bool:
        return self.tracking_uri.startswith(("http://", "https://"))

    @cached_property
    def _client(self) -> Any:
        self.artifact_root.mkdir(parents=True, exist_ok=True)
        return client_of(self.tracking_uri)

    @property
    def _rows(self) -> VersionRows:
        return VersionRows(self._client, self.bundles, remote=self._remote)


def _check_key(key: str) -> None:
    # MLflow forbids "/" and ":" in a name, and a quote would end its search filter.
    if not re.fullmatch(r"[\w. -]{1,200}", key) or key.startswith(".") or key != key.strip():
        raise ConfigError([f"model key {key!r} must be letters, digits, '_', '.', '-' or spaces"])
