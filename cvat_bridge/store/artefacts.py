"""Folders that any machine may ask for by name: snapshots by fingerprint, bundles by version."""

from __future__ import annotations

from pathlib import Path

from trainer.blobs.errors import BlobMissingError
from trainer.blobs.folders import fetch_folder, put_folder
from trainer.blobs.names import Named, get_name, set_name
from trainer.blobs.store import BlobStore

SNAPSHOTS = "snapshots"
PREDICTIONS = "predictions"  # what a model said of some frames, see queues.spreading


def keep_folder(blobs: BlobStore | None, kind: str, folder: Path) -> None:
    """Store a folder whose own name says what is in it; done once. Raises BlobError."""
    if blobs is None or get_name(blobs, kind, folder.name) is not None:
        return
    set_name(blobs, Named(kind, folder.name, put_folder(blobs, folder), folder=True))


def bring_folder(blobs: BlobStore | None, kind: str, folder: Path) -> Path:
    """Return a folder, fetched from the store where it is not on this machine.

    Raises BlobMissingError where neither has it, BlobError.
    """
    if folder.is_dir():
        return folder
    named = None if blobs is None else get_name(blobs, kind, folder.name)
    if blobs is None or named is None:
        where = "no store is set" if blobs is None else str(blobs)
        raise BlobMissingError(where, f"{kind}/{folder.name} is neither there nor at {folder}")
    return fetch_folder(blobs, named.sha256, folder)
