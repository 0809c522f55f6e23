"""Bundles in a store of artefacts: put once under their version, fetched by any machine."""

from __future__ import annotations

from pathlib import Path

from trainer.blobs.folders import fetch_folder, put_folder
from trainer.blobs.names import Named, get_name, set_name
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import CARD, Bundle

KIND = "bundles"


def share_bundle(blobs: BlobStore, bundle: Bundle) -> None:
    """Store a bundle under its version, where it is not there yet. Raises BlobError."""
    if get_name(blobs, KIND, bundle.version) is None:
        wanted = {CARD, *bundle.card.files}
        sha256 = put_folder(blobs, bundle.path, wanted=wanted.__contains__)
        set_name(blobs, Named(KIND, bundle.version, sha256, folder=True))


def bring_bundle(blobs: BlobStore, version: str, folder: Path) -> bool:
    """Fetch a bundle into a folder that is not there yet; False where the store has none of it.

    Raises BlobError.
    """
    named = get_name(blobs, KIND, version)
    if named is None:
        return False
    fetch_folder(blobs, named.sha256, folder)
    return True
