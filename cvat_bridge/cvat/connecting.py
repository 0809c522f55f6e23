"""Signing in to CVAT as the configuration says."""

from __future__ import annotations

from cvat_bridge.config import Config, Secrets
from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.home import Home


def connected(config: Config, secrets: Secrets) -> CvatClient:
    """Sign in to CVAT."""
    token, password = secrets.access_token, secrets.password
    return connect(
        config.cvat.url,
        token=token.get_secret_value() if token else None,
        username=None if token else secrets.username,
        password=password.get_secret_value() if password and not token else None,
        organization=config.cvat.organization,
        ca_bundle=config.cvat.ca_bundle,
        cache_dir=Home.of(config).chunks,
        cache_bytes=config.cvat.cache_bytes,
        timeout=config.cvat.timeout,
    )
