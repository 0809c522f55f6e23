"""Read and write our versions as MLflow rows; damaged rows are errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from trainer.data.files import parse_json
from trainer.errors import RegistryError
from trainer.registry.mlflow_access import missing, quiet_mlflow
from trainer.registry.versions import Promotion, Version

CHAMPION = "champion"
_BUNDLE_TAG = "bundle"
_PROMOTION_TAG = "promotion."
_PARAM_LIMIT = 6000  # MLflow's length limit of a parameter


class VersionRows:
    """Our versions and promotions as stored in MLflow.

    client: of MLflow. bundles: the folder of bundles. remote: whether the registry is a server,
    which stores artifacts itself. MLflow's errors are not caught.
    """

    def __init__(self, client: Any, bundles: Path, *, remote: bool) -> None:
        self._client, self._bundles, self._remote = client, bundles, remote

    def model(self, key: str) -> Any | None:
        """Return MLflow's row of a key, or None."""
        found = self._client.search_registered_models(f"name='{key}'", max_results=1)
        return found[0] if found else None

    def champion(self, key: str) -> Version | None:
        """Return the version that the alias names; RegistryError when it does not exist."""
        model = self.model(key)
        number = None if model is None else model.aliases.get(CHAMPION)
        if number is None:
            return None
        try:
            entity = self._client.get_model_version(key, str(number))
        except quiet_mlflow().MlflowException as error:
            if not missing(error):
                raise
            raise RegistryError(
                key,
                f"its champion is version {number}, which the registry no longer has: `promote` "
                "another one",
            ) from error
        return self.version(entity, int(number))

    def version(self, entity: Any, champion: int | None) -> Version:
        """Read a version. bundle is "" if the row names none."""
        number = int(entity.version)
        run = self._client.get_run(entity.run_id).data if entity.run_id else None
        bundle_version = entity.tags.get(_BUNDLE_TAG, "")
        return Version(
            key=entity.name,
            number=number,
            bundle=bundle_version,
            path=self._bundles / bundle_version,
            created=datetime.fromtimestamp(entity.creation_timestamp / 1000, timezone.utc),
            champion=number == champion,
            metrics=dict(run.metrics) if run else {},
            params=dict(run.params) if run else {},
            tags={k: v for k, v in entity.tags.items() if k != _BUNDLE_TAG},
        )

    def create(
        self,
        key: str,
        folder: Path,
        *,
        metrics: Mapping[str, float],
        params: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> Version:
        """Write a version of the bundle in folder, with a run for its metrics."""
        client = self._client
        if self.model(key) is None:
            client.create_registered_model(key)
        run_id = client.create_run(
            self._experiment(key), run_name=folder.name[:12], tags=dict(tags)
        ).info.run_id
        # A closed run still accepts metrics, and a process killed here leaves none open.
        client.set_terminated(run_id)
        for name, value in params.items():
            client.log_param(run_id, name, str(value)[:_PARAM_LIMIT])
        for name, figure in metrics.items():
            client.log_metric(run_id, name, float(figure))
        source = folder.as_uri()
        if self._remote:
            client.log_artifacts(run_id, str(folder), "bundle")
            source = f"runs:/{run_id}/bundle"
        created = client.create_model_version(
            key, source, run_id, tags={**tags, _BUNDLE_TAG: folder.name}
        )
        return self.version(created, None)

    def measured(self, version: Version, figures: Mapping[str, float], step: int) -> None:
        """Add metrics to the run of a version, at `step`."""
        run_id = self._client.get_model_version(version.key, str(version.number)).run_id
        for name, figure in figures.items():
            self._client.log_metric(run_id, name, float(figure), step=step)

    def serve(self, key: str, change: Promotion) -> None:
        """Make the version of a change the champion, and record the change."""
        event = {
            "number": change.number,
            "action": change.action,
            "at": change.at.isoformat(),
            "reasons": list(change.reasons),
        }
        model = self.model(key)
        before = [int(n.removeprefix(_PROMOTION_TAG)) for n in _changes(model)]
        # The alias first: after a crash in between, the history must not claim what never served.
        self._client.set_registered_model_alias(key, CHAMPION, str(change.number))
        self._client.set_registered_model_tag(
            key, f"{_PROMOTION_TAG}{max(before, default=0) + 1:06d}", json.dumps(event)
        )

    def history(self, key: str) -> list[Promotion]:
        """Return every change of champion, oldest first; RegistryError for a damaged one."""
        changes = _changes(self.model(key))
        return [_promotion(key, name, changes[name]) for name in sorted(changes)]

    def _experiment(self, key: str) -> str:
        found = self._client.get_experiment_by_name(key)
        if found is not None:
            return str(found.experiment_id)
        # A server stores artifacts itself; the embedded store would create mlruns/ here.
        place = None if self._remote else (self._bundles.parent / "mlartifacts").as_uri()
        return str(self._client.create_experiment(key, artifact_location=place))


def _changes(model: Any | None) -> dict[str, str]:
    """Return the tags that record promotions, as written."""
    tags = {} if model is None else model.tags
    numbered = re.compile(re.escape(_PROMOTION_TAG) + r"\d+")
    return {name: text for name, text in tags.items() if numbered.fullmatch(name)}


def _promotion(key: str, tag: str, text: str) -> Promotion:
    try:
        values = parse_json(text)
        at = datetime.fromisoformat(values["at"])
        return Promotion(int(values["number"]), values["action"], at, tuple(values["reasons"]))
    except (ValueError, TypeError, KeyError) as error:
        raise RegistryError(
            key,
            f"the record of a promotion is damaged: the tag {tag} of the model is {text[:80]!r} "
            f"({type(error).__name__}: {error}); fix or delete the tag in MLflow",
        ) from error
