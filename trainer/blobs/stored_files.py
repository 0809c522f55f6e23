"""Files at an address, whatever keeps them: whole or not there at all, and every fault in words."""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.blobs.errors import (
    BlobDamagedError,
    BlobError,
    BlobMissingError,
    is_folder_address,
    no_such_bucket,
    store_errors,
)
from trainer.blobs.opening import open_filesystem, shown

_MARK = "store.json"
_OPENING = threading.Lock()


class StoredFiles:
    """The files of a store, named by their path within it; see BlobStore.

    Every method raises BlobError when the store cannot be used.
    """

    def __init__(self, address: str, *, timeout: float) -> None:
        self.address, self._timeout, self._known = address, timeout, False

    def __str__(self) -> str:
        return shown(self.address)

    def create(self) -> None:
        """Make a store at the address, where there is none yet, and see that it works."""
        # Listing tells a bucket that is not there from one that this account may not write to.
        with store_errors(str(self)):
            if not self._is_folder:
                self._filesystem.find(self._full("checks"))
        if self.facts(_MARK) is None:
            self._write(_MARK, b'{"format": 1}\n')
        place = f"checks/{uuid.uuid4().hex}"
        self.write(place, b"check")
        if self.read(place) != b"check":
            raise BlobDamagedError(str(self), "gave other bytes than were written a moment before")
        self.delete(place)

    def write(self, place: str, content: bytes | Path) -> None:
        """Write a file, or the copy of a local one, in place of what is there."""
        self._require()
        self._write(place, content)

    def read(self, place: str) -> bytes:
        """Return a file's bytes; BlobMissingError where there is none."""
        with self._translated(place):
            return bytes(self._filesystem.cat_file(self._full(place)))

    def copy_to(self, place: str, path: Path) -> None:
        """Write a file's bytes into a local one; BlobMissingError where there is none."""
        with self._translated(place):
            self._filesystem.get_file(self._full(place), str(path))

    def delete(self, place: str) -> None:
        """Delete a file; no effect where it is gone."""
        with store_errors(self.named(place)):
            try:
                self._filesystem.rm_file(self._full(place))
            except FileNotFoundError:
                return

    def facts(self, place: str) -> tuple[int, datetime] | None:
        """Return a file's bytes and when it was written, None where there is none."""
        with store_errors(self.named(place)):
            try:
                info = self._filesystem.info(self._full(place))
            except FileNotFoundError:
                return None
        return int(info["size"]), _written(info)

    def below(self, place: str) -> Iterator[tuple[str, int, datetime]]:
        """Yield (path, bytes, when written) of the files below a path, without hidden ones."""
        with store_errors(str(self)):
            try:
                found = self._filesystem.find(self._full(place), detail=True)
            except FileNotFoundError:
                # An object store that is not there must not read as an empty one.
                if not self._is_folder:
                    raise
                found = {}
        if not found:
            self._require()
        for path, info in found.items():
            name = str(path)[len(self._root) :].lstrip("/")
            if not name.rpartition("/")[2].startswith(".") and info["type"] == "file":
                yield name, int(info["size"]), _written(info)

    def now(self) -> datetime:
        """Return the time by the clock that dates files here, not by this machine's."""
        place = f"checks/{uuid.uuid4().hex}"
        self.write(place, b"clock")
        try:
            found = self.facts(place)
        finally:
            self.delete(place)
        if found is None:
            raise BlobError(self.named(place), "is not there a moment after it was written")
        return found[1]

    def named(self, place: str) -> str:
        """Return a file's address, as messages show it."""
        return f"{self}/{place}"

    @property
    def _is_folder(self) -> bool:
        return is_folder_address(self.address)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        with _OPENING:
            return open_filesystem(self.address, timeout=self._timeout)

    @property
    def _filesystem(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    def _full(self, place: str) -> str:
        return f"{self._root}/{place}"

    def _require(self) -> None:
        """Raise BlobError where no store was made; a folder may cease to be mounted at any time."""
        if (self._is_folder or not self._known) and self.facts(_MARK) is None:
            what = "is the disk mounted, and is the address right?"
            raise BlobError(str(self), f"there is no store here ({_MARK} is missing): {what}")
        self._known = True

    def _write(self, place: str, content: bytes | Path) -> None:
        with store_errors(self.named(place)):
            if self._is_folder:
                _write_here(Path(self._full(place)), content)
            elif isinstance(content, bytes):
                self._filesystem.pipe_file(self._full(place), content)
            else:
                self._filesystem.put_file(str(content), self._full(place))

    @contextmanager
    def _translated(self, place: str) -> Iterator[None]:
        """Tell a file that is not there apart from a bucket that is not."""
        with store_errors(self.named(place)):
            try:
                yield
            except FileNotFoundError as error:
                if no_such_bucket(error):
                    raise
                raise BlobMissingError(self.named(place), "there is no such file") from error


def _write_here(target: Path, content: bytes | Path) -> None:
    """Write a file of this machine by rename; an object store does so by itself."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".put-")
    try:
        with os.fdopen(handle, "wb") as out:
            if isinstance(content, bytes):
                out.write(content)
            else:
                with content.open("rb") as source:
                    while block := source.read(1 << 20):
                        out.write(block)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _written(info: Any) -> datetime:
    found = info.get("LastModified", info.get("mtime", info.get("created")))
    if isinstance(found, datetime):
        return found.astimezone(timezone.utc)
    if isinstance(found, (int, float)):
        return datetime.fromtimestamp(found, timezone.utc)
    raise BlobError(str(info.get("name", "")), "the store does not say when a file was written")
