"""The model registry: which versions there are, which one serves, which one served before.

It stands on MLflow: an embedded SQLite file by default, any MLflow server by its address. A key
(one per project and task) is a registered model, the serving version bears the alias `champion`,
and every promotion is one tag, so that MLflow's own pages show the same truth. The bundle itself
is stored once, in <artifact_root>/bundles/<version>; a server of its own also gets a copy, so
that another machine can fetch it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.bundle import Bundle
from trainer.errors import ConfigError, RegistryError
from trainer.versions import Promotion, Version, served

__all__ = ["CHAMPION", "Promotion", "Registry", "Version"]

CHAMPION = "champion"
_BUNDLE_TAG = "bundle"
_PROMOTION_TAG = "promotion."
_PARAM_LIMIT = 6000  # what MLflow keeps of one parameter


class Registry:
    """The versions of every key, and the champion of each.

    tracking_uri: None for the embedded store, or a server ("http://…") or database
    ("sqlite:///…", "postgresql://…") that MLflow understands. artifact_root: the folder that
    holds bundles/ (and the embedded store). Nothing is opened before the first question.
    """

    def __init__(self, tracking_uri: str | None, artifact_root: Path) -> None:
        self.artifact_root = Path(artifact_root).resolve()
        self.tracking_uri = tracking_uri or f"sqlite:///{self.artifact_root / 'mlflow.db'}"

    @property
    def bundles(self) -> Path:
        """The folder of bundles, one folder a version."""
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
        """Store the bundle and give it a number; the same bundle is registered once per key.

        Does not make it serve. Raises ConfigError when the key cannot be a name and RegistryError
        when the store cannot be asked.
        """
        _check_key(key)
        folder = self._keep(bundle)
        found = self._find(key, bundle.version)
        if found is not None:
            return found
        with _translated(key):
            return self._create(
                key, folder, metrics=metrics or {}, params=params or {}, tags=tags or {}
            )

    def champion(self, key: str) -> Version | None:
        """Return the version that serves, or None when none was ever promoted."""
        with _translated(key):
            model = self._model(key)
            number = None if model is None else model.aliases.get(CHAMPION)
            if number is None:
                return None
            entity = self._client.get_model_version(key, str(number))
            return self._here(self._version(entity, int(number)))

    def versions(self, key: str) -> list[Version]:
        """Return every version of the key, newest first; none is an empty list."""
        with _translated(key):
            model = self._model(key)
            if model is None:
                return []
            champion = model.aliases.get(CHAMPION)
            pages = _pages(self._client.search_model_versions, f"name='{key}'")
            found = [self._version(v, None if champion is None else int(champion)) for v in pages]
        return sorted(found, key=lambda v: -v.number)

    def keys(self) -> list[str]:
        """Return every key that has a version, sorted."""
        with _translated("registry"):
            return sorted(m.name for m in _pages(self._client.search_registered_models, None))

    def show(self, key: str, version: int | str) -> Version:
        """Return one version by its number, its bundle's version or a prefix of at least 6.

        Raises RegistryError, naming what there is, when none or several match.
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
        raise RegistryError(key, f"{len(found)} versions answer to {text!r}; there are: {there}")

    def promote(self, key: str, version: int | str, *, reasons: tuple[str, ...] = ()) -> Version:
        """Make a version the champion; promoting the champion again changes nothing."""
        return self._serve(key, self.show(key, version), "promote", reasons)

    def rollback(self, key: str, *, reasons: tuple[str, ...] = ()) -> Version:
        """Make the previous champion serve again, and return it.

        Rolling back twice goes back two. Raises RegistryError when there is no earlier one.
        """
        champion = self.champion(key)
        stack = served(self.history(key), None if champion is None else champion.number)
        if len(stack) < 2:
            raise RegistryError(key, "there is no earlier champion to go back to")
        return self._serve(key, self.show(key, stack[-2]), "rollback", reasons)

    def forget(self, key: str, numbers: Sequence[int]) -> None:
        """Take versions out of the registry, and the key with its last one.

        The bundles stay: another key may have registered the same one. RegistryError when there
        is no such version.
        """
        with _translated(key):
            for number in numbers:
                self._client.delete_model_version(key, str(number))
            if not self.versions(key):
                self._client.delete_registered_model(key)

    def history(self, key: str) -> list[Promotion]:
        """Return every change of champion, oldest first."""
        with _translated(key):
            model = self._model(key)
        tags = {} if model is None else model.tags
        events = sorted((k, v) for k, v in tags.items() if k.startswith(_PROMOTION_TAG))
        return [_promotion(json.loads(value)) for _, value in events]

    def _serve(self, key: str, version: Version, action: str, reasons: tuple[str, ...]) -> Version:
        if version.champion:
            return version
        past = self.history(key)
        event = {
            "number": version.number,
            "action": action,
            "at": datetime.now(timezone.utc).isoformat(),
            "reasons": list(reasons),
        }
        with _translated(key):
            # The alias first: a crash in between must not leave a history of what never served.
            self._client.set_registered_model_alias(key, CHAMPION, str(version.number))
            self._client.set_registered_model_tag(
                key, f"{_PROMOTION_TAG}{len(past) + 1:06d}", json.dumps(event)
            )
        return self.show(key, version.number)

    def _find(self, key: str, bundle_version: str) -> Version | None:
        return next((v for v in self.versions(key) if v.bundle == bundle_version), None)

    def _create(
        self,
        key: str,
        folder: Path,
        *,
        metrics: Mapping[str, float],
        params: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> Version:
        client = self._client
        if self._model(key) is None:
            client.create_registered_model(key)
        run_id = client.create_run(
            self._experiment(key), run_name=folder.name[:12], tags=dict(tags)
        ).info.run_id
        for name, value in params.items():
            client.log_param(run_id, name, str(value)[:_PARAM_LIMIT])
        for name, figure in metrics.items():
            client.log_metric(run_id, name, float(figure))
        source = folder.as_uri()
        if self._remote:
            client.log_artifacts(run_id, str(folder), "bundle")
            source = f"runs:/{run_id}/bundle"
        client.set_terminated(run_id)
        created = client.create_model_version(
            key, source, run_id, tags={**tags, _BUNDLE_TAG: folder.name}
        )
        return self._version(created, None)

    def _keep(self, bundle: Bundle) -> Path:
        """Copy the bundle to its place unless it stands there; whole or not at all."""
        folder = self.bundles / bundle.version
        if folder.exists():
            return folder
        self.bundles.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.bundles, prefix=".part-") as scratch:
            copy = Path(scratch) / "bundle"
            shutil.copytree(bundle.path, copy)
            try:
                copy.rename(folder)
            except OSError:
                if not folder.exists():  # another process was quicker: equal content, all is well
                    raise
        return folder

    def _here(self, version: Version) -> Version:
        """Bring the bundle from the server when another machine registered it."""
        if self._remote and version.bundle and not version.path.exists():
            self.bundles.mkdir(parents=True, exist_ok=True)
            entity = self._client.get_model_version(version.key, str(version.number))
            with (
                _translated(version.key),
                tempfile.TemporaryDirectory(dir=self.bundles, prefix=".part-") as scratch,
            ):
                copy = self._client.download_artifacts(entity.run_id, "bundle", scratch)
                Path(copy).rename(version.path)
        return version

    def _version(self, entity: Any, champion: int | None) -> Version:
        number = int(entity.version)
        run = self._client.get_run(entity.run_id).data if entity.run_id else None
        bundle_version = entity.tags.get(_BUNDLE_TAG, "")
        return Version(
            key=entity.name,
            number=number,
            bundle=bundle_version,
            path=self.bundles / bundle_version,
            created=datetime.fromtimestamp(entity.creation_timestamp / 1000, timezone.utc),
            champion=number == champion,
            metrics=dict(run.metrics) if run else {},
            params=dict(run.params) if run else {},
            tags={k: v for k, v in entity.tags.items() if k != _BUNDLE_TAG},
        )

    def _model(self, key: str) -> Any | None:
        _check_key(key)
        found = self._client.search_registered_models(f"name='{key}'", max_results=1)
        return found[0] if found else None

    def _experiment(self, key: str) -> str:
        found = self._client.get_experiment_by_name(key)
        if found is not None:
            return str(found.experiment_id)
        # A server keeps its own artifacts; the embedded store would drop mlruns/ where we stand.
        place = None if self._remote else (self.artifact_root / "mlartifacts").as_uri()
        return str(self._client.create_experiment(key, artifact_location=place))

    @property
    def _remote(self) -> bool:
        return self.tracking_uri.startswith(("http://", "https://"))

    @cached_property
    def _client(self) -> Any:
        self.artifact_root.mkdir(parents=True, exist_ok=True)
        return quiet_mlflow().MlflowClient(self.tracking_uri, self.tracking_uri)


def quiet_mlflow() -> Any:
    """Import MLflow: quiet, and telling nobody that it is used."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # By itself MLflow tries for four minutes before it says that nobody answers.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def _check_key(key: str) -> None:
    # MLflow forbids "/" and ":" in a name, and a quote would end its search filter.
    if not re.fullmatch(r"[\w. -]{1,200}", key) or key.startswith(".") or key != key.strip():
        raise ConfigError([f"model key {key!r} must be letters, digits, '_', '.', '-' or spaces"])


def _pages(search: Callable[..., Any], condition: str | None) -> Iterator[Any]:
    token = None
    while True:
        page = search(condition, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _promotion(values: Mapping[str, Any]) -> Promotion:
    at = datetime.fromisoformat(values["at"])
    return Promotion(values["number"], values["action"], at, tuple(values["reasons"]))


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Turn what MLflow raises into RegistryError with its reason."""
    try:
        yield
    except (quiet_mlflow().MlflowException, OSError) as error:
        raise RegistryError(key, f"the model registry did not answer: {error}") from error
