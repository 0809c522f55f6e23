"""What machines share of a folder of functions: a store of artefacts, which hosts follow.

<folder>/.shared.json names the store of which the folder is this machine's copy. What is published
goes there first: the bundles by content, then a name of kind "functions" for the entry. Every
host that follows the store serves it seconds later; see following.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serverless.errors import StoreError
from trainer.blobs.errors import BlobError
from trainer.blobs.folders import put_folder
from trainer.blobs.names import Named, remove_name, set_name
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import CARD, read_bundle
from trainer.errors import BundleError

KIND = "functions"  # of the names in a shared store
_SHARED = ".shared.json"


def shared_store(folder: Path) -> BlobStore | None:
    """Return the shared store that a folder follows, None for a folder on its own.

    Raises StoreError where that cannot be read.
    """
    path = folder / _SHARED
    try:
        return BlobStore(str(json.loads(path.read_bytes())["address"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(path, f"does not name a shared store: {error}") from error


def note_shared(folder: Path, address: str | None) -> None:
    """Let a folder be the copy of the store at an address, or of none. Raises StoreError."""
    path = folder / _SHARED
    try:
        if address is None:
            path.unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"address": address}), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreError(path, f"cannot be written: {error}") from error


def put_function(
    blobs: BlobStore, function_id: str, values: Mapping[str, Any], folder: Path
) -> None:
    """Publish an entry to a shared store, its bundles first; no host sees one without them.

    values: the entry as JSON; folder: that of the entry, to which its paths refer. Raises
    StoreError.
    """
    with _store_errors(folder / f"{function_id}.json", "was not published to the shared store"):
        sha256, version = _put_bundle(blobs, folder / values["bundle"])
        details = {**values, "bundle": version}
        also: tuple[str, ...] = ()
        if "interactor" in values:
            name, details["interactor"] = _put_bundle(blobs, folder / values["interactor"])
            also = (name,)
        set_name(blobs, Named(KIND, function_id, sha256, folder=True, also=also, details=details))


def remove_function(blobs: BlobStore, function_id: str, folder: Path) -> None:
    """Take an entry out of a shared store; no effect where it has none. Raises StoreError."""
    with _store_errors(folder / f"{function_id}.json", "was not removed from the shared store"):
        remove_name(blobs, KIND, function_id)


def _put_bundle(blobs: BlobStore, folder: Path) -> tuple[str, str]:
    """Store a bundle, verified; return the name of its list of files, and its version."""
    bundle = read_bundle(folder)
    wanted = {CARD, *bundle.card.files}
    return put_folder(blobs, folder, wanted=wanted.__contains__), bundle.version


@contextmanager
def _store_errors(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (BlobError, BundleError, OSError) as error:
        raise StoreError(path, f"{what}: {error}") from error
