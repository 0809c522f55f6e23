"""A model by the reference under which it was offered, or a sentence that it is gone."""

from __future__ import annotations

from cvat_bridge.errors import BridgeError
from cvat_bridge.web.sites import Site
from serverless.store.folders import shipped
from serverless.store.functions import entries
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.errors import TrainerError


def find_bundle(site: Site, reference: str) -> Bundle:
    """Return the bundle of an offered model. Raises BridgeError in words where it is gone."""
    gone = f"the model {reference} is not here any more: it was removed meanwhile"
    key, _, number = reference.partition("@")
    try:
        if number:
            return read_bundle(site.parts.registry.show(key, number).path)
        offered = {entry.id: entry for entry in (*shipped(), *entries(site.parts.functions))}
        if reference not in offered:
            raise BridgeError(gone)
        return read_bundle(offered[reference].bundle)
    except TrainerError as error:
        raise BridgeError(gone) from error
