"""The store that a configuration names, and what follows it on this machine."""

from __future__ import annotations

import structlog

from cvat_bridge.config import Config
from cvat_bridge.errors import BridgeError
from cvat_bridge.home import Home
from serverless.errors import StoreError
from serverless.store.following import Following, share
from trainer.blobs.errors import BlobError
from trainer.blobs.store import BlobStore

log = structlog.get_logger("store")


def blobs_of(config: Config) -> BlobStore | None:
    """Return the store of artefacts, None where everything stays in home. Asks nothing of it."""
    return None if config.store is None else BlobStore(config.store)


def opened_blobs(config: Config, home: Home, *, needed: bool = True) -> BlobStore | None:
    """Return the store of artefacts, made where there is none yet, and let the functions follow it.

    What the folder of functions serves already is published there; what others published is taken
    over. needed: raise BridgeError, with what to do, when the store cannot be used; else what is
    here is what is seen.
    """
    folder = config.function_host.store or home.functions
    blobs = blobs_of(config)
    try:
        share(folder, config.store)
        if blobs is not None:
            followed(config, home, blobs)
    except (StoreError, BlobError) as error:
        if needed:
            raise BridgeError(str(error)) from error
        log.warning("the store of artefacts cannot be used", why=str(error))
    return blobs


def followed(config: Config, home: Home, blobs: BlobStore) -> tuple[str, ...]:
    """Take over what other machines published; return the functions that changed.

    Raises BlobError when the store cannot be read: what is here stays as it is.
    """
    folder = config.function_host.store or home.functions
    return Following(blobs, folder, home.bundles).follow()
