"""The registry of a configuration's models."""

from __future__ import annotations

from cvat_bridge.config import Config
from cvat_bridge.home import Home
from cvat_bridge.store.opening import blobs_of
from trainer.registry.registry import Registry


def registry_of(config: Config, home: Home) -> Registry:
    """Return the registry; its bundles pass through the store of artefacts where there is one."""
    return Registry(config.mlflow_url, home.library, blobs=blobs_of(config))
