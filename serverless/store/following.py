"""A folder of functions follows a shared store: the copy that one machine serves from.

The copy is complete in itself, so a host serves on while the store is away, and after a restart.
It may be deleted at any time: what is gone is fetched again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serverless.errors import StoreError
from serverless.store.functions import (
    Entry,
    as_values,
    listing,
    read_values,
    remove_entry,
    write_entry,
)
from serverless.store.shared import KIND, note_shared, put_function, shared_store
from trainer.blobs.errors import BlobError
from trainer.blobs.folders import fetch_folder
from trainer.blobs.names import Listed, get_name, names
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import read_bundle
from trainer.errors import BundleError

_UNUSED_SECONDS = 3600.0  # after which a bundle that no entry names is deleted from the copy


def share(folder: Path, address: str | None) -> None:
    """Let what is published in a folder go to the store at an address from now on; None to none.

    What the folder serves already and the store does not know is published there first. Raises
    StoreError.
    """
    before = shared_store(folder)
    if (before.address if before else None) == address:
        return
    if address is not None:
        try:
            blobs = BlobStore(address).create()
            there = {row.name for row in names(blobs, KIND)}
        except BlobError as error:
            raise StoreError(folder, f"cannot follow a shared store: {error}") from error
        for entry in listing(folder).entries:
            if entry.id not in there:
                put_function(blobs, entry.id, as_values(entry), folder)
    note_shared(folder, address)


@dataclass
class Following:
    """The copy of a shared store in a folder. bundles: where its bundles lie, one a version.

    sweeps: whether bundles that nothing names any more are deleted; not where others keep theirs.
    """

    blobs: BlobStore
    folder: Path
    bundles: Path
    sweeps: bool = False
    _seen: dict[str, Listed] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> Mapping[str, str]:
        """Function id → why it could not be taken over; what served before goes on serving."""
        return dict(self._faults)

    def follow(self) -> tuple[str, ...]:
        """Take over what changed in the store; return the ids of the functions that changed.

        A function that cannot be taken over is noted in `faults`, tried again the next time, and
        touches no other. Raises BlobError when the store cannot be listed, StoreError when the
        folder cannot be used: the copy stays as it is.
        """
        there = {row.name: row for row in names(self.blobs, KIND)}
        here = {entry.id: entry for entry in listing(self.folder).entries}
        changed = [name for name in sorted(there) if not self._is_current(there[name], here)]
        done = [name for name in changed if self._take(there[name])]
        for name in sorted(here.keys() - there.keys()):
            remove_entry(self.folder, name)
            done.append(name)
        self._faults = {name: why for name, why in self._faults.items() if name in there}
        self._seen = {name: row for name, row in self._seen.items() if name in there}
        if self.sweeps and done:
            self._sweep()
        return tuple(done)

    def _is_current(self, row: Listed, here: Mapping[str, Entry]) -> bool:
        seen, entry = self._seen.get(row.name), here.get(row.name)
        return (
            seen is not None
            and seen.changed == row.changed
            and entry is not None
            and all(path.is_dir() for path in (entry.bundle, entry.interactor) if path)
        )

    def _take(self, row: Listed) -> bool:
        try:
            named = get_name(self.blobs, KIND, row.name)
            if named is None:  # withdrawn since it was listed
                return False
            entry = read_values(named.details, self.bundles)
            self._check_places(entry)
            self._bring(named.sha256, entry.bundle, entry.version)
            for sha256 in named.also:
                if entry.interactor is not None:
                    self._bring(sha256, entry.interactor, entry.interactor.name)
            write_entry(self.folder, entry)
        except (BlobError, BundleError, StoreError, OSError) as error:
            self._faults[row.name] = str(error)
            return False
        except (ValueError, TypeError, KeyError) as error:
            self._faults[row.name] = f"{self.blobs}: {KIND}/{row.name} is not an entry: {error}"
            return False
        self._faults.pop(row.name, None)
        self._seen[row.name] = row
        return True

    def _check_places(self, entry: Entry) -> None:
        if any(path.parent != self.bundles for path in (entry.bundle, entry.interactor) if path):
            raise ValueError("a bundle is named by its version, not by a path")

    def _bring(self, sha256: str, folder: Path, version: str) -> None:
        """See that a bundle is here and whole; one that is damaged is fetched again."""
        if folder.is_dir():
            try:
                read_bundle(folder, version=version)
            except BundleError:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                return
        fetch_folder(self.blobs, sha256, folder)
        read_bundle(folder, verify=False, version=version)  # every file was verified on its way

    def _sweep(self) -> None:
        used = {
            path.name
            for entry in listing(self.folder).entries
            for path in (entry.bundle, entry.interactor)
            if path
        }
        for folder in self.bundles.glob("*"):
            if folder.name not in used and time.time() - folder.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
