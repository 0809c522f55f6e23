"""Delete what nobody refers to any more: by reference and by age, safe beside writers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from trainer.blobs.errors import BlobMissingError
from trainer.blobs.folders import files_of
from trainer.blobs.names import Named, get_name, names, remove_name
from trainer.blobs.store import RENEW_AFTER, BlobStore

# Twice the time after which a writer renews what it finds: nothing goes that is being named.
LEAST_AGE = 2 * RENEW_AFTER


@dataclass(frozen=True)
class Swept:
    """What a sweep did. kept, removed: files; freed: bytes; expired: names that went, kind/name."""

    kept: int
    removed: int
    freed: int
    expired: tuple[str, ...]


def sweep(
    store: BlobStore,
    *,
    age: timedelta = timedelta(days=7),
    expire: Mapping[str, timedelta] | None = None,
    dry: bool = False,
) -> Swept:
    """Delete the files that no name leads to and that are older than `age`.

    expire: kind → age from which a name of that kind is itself removed. dry: only count. Ages are
    taken by the store's own clock. A folder's files are kept with it. Raises BlobError, before
    anything is deleted, when a name or a list cannot be read: what it leads to is not known then;
    ValueError for an age below LEAST_AGE, within which a writer may still be naming a file.
    """
    if age < LEAST_AGE:
        raise ValueError(f"age must be {LEAST_AGE} or more, found {age}")
    now = store.now()
    listing = list(names(store))
    old = [
        row
        for row in listing
        if row.kind in (expire or {}) and now - row.written > (expire or {})[row.kind]
    ]
    gone = {(row.kind, row.name) for row in old}
    held: set[str] = set()
    for row in listing:
        if (row.kind, row.name) not in gone:
            named = get_name(store, row.kind, row.name)
            if named is not None:
                held.update(_reached(store, named, held))
    if not dry:
        for row in old:
            remove_name(store, row.kind, row.name)
    removed = freed = kept = 0
    # Listed again: a file that was renewed meanwhile is young.
    for blob in store.blobs():
        if blob.sha256 in held or now - blob.written <= age:
            kept += 1
            continue
        if not dry:
            store.remove(blob.sha256)
        removed, freed = removed + 1, freed + blob.size
    expired = tuple(sorted(f"{row.kind}/{row.name}" for row in old))
    return Swept(kept, removed, freed, expired)


def _reached(store: BlobStore, named: Named, known: set[str]) -> set[str]:
    """Return the files that a name leads to; of folders that are known, only themselves."""
    folders = [*([named.sha256] if named.folder else []), *named.also]
    found = {named.sha256, *folders}
    for sha256 in folders:
        if sha256 not in known:
            # Of a folder whose list is gone nothing can be fetched.
            with suppress(BlobMissingError):
                found |= set(files_of(store, sha256).values())
    return found
