"""A version of the registry begins to serve in CVAT: by a round, or by a person's word."""

from __future__ import annotations

from cvat_bridge.config import Config
from cvat_bridge.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.round.publishing import publish_champion
from serverless.store import Entry
from trainer.errors import RegistryError
from trainer.registry import Registry
from trainer.versions import Version


def project_key(project_id: int) -> str:
    """Name a project's models in the registry."""
    return f"project-{project_id}"


def serve_champion(gateway: Gateway, config: Config, home: Home, champion: Version) -> Entry:
    """Put the champion into the function host's store, where the next call finds it.

    Raises BundleError for a bundle that is not what its card says, StoreError, GatewayError.
    """
    host = config.function_host
    return publish_champion(
        host.store or home.functions,
        function_id=host.function_id,
        name=host.name or f"{gateway.project(config.project_id).name} champion",
        champion=champion,
        labels=gateway.labels(project_id=config.project_id),
    )


def promote(
    gateway: Gateway, config: Config, home: Home, registry: Registry, version: str
) -> tuple[Version, Entry]:
    """Make a version the champion by a person's word, without the gate, and let it serve.

    One that is the champion already is published again: it mends a store that was lost. Raises
    RegistryError when no version, or several, answer to the name.
    """
    champion = registry.promote(project_key(config.project_id), version, reasons=("by hand",))
    return champion, serve_champion(gateway, config, home, champion)


def rollback(
    gateway: Gateway, config: Config, home: Home, registry: Registry
) -> tuple[Version, Entry]:
    """Let the previous champion serve again. Raises RegistryError when there is none."""
    key = project_key(config.project_id)
    now = registry.champion(key)
    if now is None:
        raise RegistryError(key, "no model serves, so there is none to go back from")
    champion = registry.rollback(key, reasons=("by hand",))
    return champion, serve_champion(gateway, config, home, champion)
