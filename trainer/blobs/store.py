"""A store of files named by their content: written once, verified whenever they are read.

<address>/store.json                  says that this is a store, see BlobStore.create
<address>/blobs/<2 digits>/<sha256>   one file
<address>/names/<kind>/<name>.json    what it is called; see trainer.blobs.names

Any number of machines read and write it at once: equal content has one name, and a file is there
whole or not at all. Nothing here is ever changed in place.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from typing_extensions import Self

from trainer.blobs.errors import BlobDamagedError, BlobMissingError
from trainer.blobs.stored_files import StoredFiles
from trainer.data.files import file_sha256

_TRIES = 2  # of a read that gives wrong bytes
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A file is written again when it is put after this time, so that a sweep by age spares it.
RENEW_AFTER = timedelta(hours=12)


@dataclass(frozen=True)
class Blob:
    """One file of the store. size: bytes; written: by the store's own clock."""

    sha256: str
    size: int
    written: datetime


class BlobStore:
    """The store at an address: a folder, or "s3://bucket/path".

    A place that holds no store is never taken for an empty one: it may be a disk that is not
    mounted. timeout: seconds that a server may take to answer a request, which is tried three
    times. Every method may be called from any thread, and raises BlobError with what to do when
    the store cannot be used.
    """

    def __init__(self, address: str | Path, *, timeout: float = 60.0) -> None:
        self.address = str(address)
        self.files = StoredFiles(self.address, timeout=timeout)

    def __str__(self) -> str:
        return str(self.files)

    def create(self) -> Self:
        """Make a store at the address, where there is none yet, and see that it works.

        Lists, writes, reads and deletes a small file.
        """
        self.files.create()
        return self

    def put(self, content: bytes) -> str:
        """Store bytes and return their sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self._is_held(sha256, len(content)):
            self.files.write(place_of(sha256), content)
        return sha256

    def put_file(self, path: Path) -> str:
        """Store a file and return its sha256; OSError when the file itself cannot be read."""
        sha256, size = file_sha256(path), path.stat().st_size
        if not self._is_held(sha256, size):
            place = place_of(sha256)
            self.files.write(place, path)
            if (found := self.files.facts(place)) is None or found[0] != size:
                taken = "no bytes" if found is None else f"{found[0]} bytes"
                raise BlobDamagedError(self.files.named(place), f"took {taken} of {size}")
        return sha256

    def read(self, sha256: str) -> bytes:
        """Return the bytes of this name, verified.

        Raises BlobMissingError, and BlobDamagedError when they are wrong at the second try, too.
        """
        place = self._place(sha256)
        for _ in range(_TRIES):
            content = self.files.read(place)
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
        raise self._damaged(place)

    def fetch(self, sha256: str, destination: Path) -> Path:
        """Copy a file to destination, whole and verified or not at all; see read for errors."""
        place = self._place(sha256)
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=destination.parent, prefix=".fetch-")
        os.close(handle)
        part = Path(name)
        try:
            for _ in range(_TRIES):
                self.files.copy_to(place, part)
                if file_sha256(part) == sha256:
                    part.chmod(0o644)
                    return part.replace(destination)
            raise self._damaged(place)
        finally:
            part.unlink(missing_ok=True)

    def has(self, sha256: str) -> bool:
        """Whether the store holds this file; its content is verified when it is read."""
        return self.files.facts(self._place(sha256)) is not None

    def blobs(self) -> Iterator[Blob]:
        """Yield every file of the store, in no order."""
        for path, size, written in self.files.below("blobs"):
            name = path.rpartition("/")[2]
            if _SHA256.fullmatch(name):
                yield Blob(name, size, written)

    def remove(self, sha256: str) -> None:
        """Delete a file; no effect where it is gone."""
        self.files.delete(self._place(sha256))

    def now(self) -> datetime:
        """Return the time by the clock that dates files here, not by this machine's."""
        return self.files.now()

    def _place(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise BlobMissingError(str(self), f"{sha256[:80]!r} is no name of a file here")
        return place_of(sha256)

    def _damaged(self, place: str) -> BlobDamagedError:
        return BlobDamagedError(
            self.files.named(place),
            f"gave wrong bytes {_TRIES} times: it was damaged in the store. Delete that file: "
            "whoever has the right one puts it there again",
        )

    def _is_held(self, sha256: str, size: int) -> bool:
        """Whether a file need not be written: it is there, whole, and safe from a sweep."""
        found = self.files.facts(place_of(sha256))
        if found is None or found[0] != size:
            return False
        return datetime.now(timezone.utc) - found[1] < RENEW_AFTER


def place_of(sha256: str) -> str:
    """Return where a file lies within a store."""
    return f"blobs/{sha256[:2]}/{sha256}"
