"""What the files of a store are called: the one part of it that changes.

A name is a small JSON file, written whole; the last writer wins. What no name leads to is swept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from trainer.blobs.errors import BlobDamagedError, BlobMissingError
from trainer.blobs.store import BlobStore


@dataclass(frozen=True)
class Named:
    """A name of a kind ("bundles", "snapshots", …) and what it stands for.

    sha256: of the file, or with `folder` of the list of a folder's files. details: the caller's own
    JSON values. also: further folders, by their lists, that are kept with it.
    """

    kind: str
    name: str
    sha256: str
    folder: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """A name as a listing shows it, unread. changed: differs once the name was written again."""

    kind: str
    name: str
    written: datetime
    changed: tuple[int, datetime]


def set_name(store: BlobStore, named: Named) -> None:
    """Write a name; what it stands for must have been put before. Raises BlobError."""
    content = {
        "sha256": named.sha256,
        "folder": named.folder,
        "also": list(named.also),
        "details": dict(named.details),
    }
    store.files.write(_place(named.kind, named.name), json.dumps(content, sort_keys=True).encode())


def get_name(store: BlobStore, kind: str, name: str) -> Named | None:
    """Return what a name stands for, None where there is none. Raises BlobError."""
    place = _place(kind, name)
    try:
        content = store.files.read(place)
    except BlobMissingError:
        return None
    try:
        values = json.loads(content)
        return Named(
            kind,
            name,
            str(values["sha256"]),
            bool(values.get("folder", False)),
            dict(values.get("details", {})),
            tuple(str(one) for one in values.get("also", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BlobDamagedError(
            f"{store}/names/{kind}/{name}", f"is no name as this program writes it ({error})"
        ) from error


def remove_name(store: BlobStore, kind: str, name: str) -> None:
    """Remove a name; no effect where there is none."""
    store.files.delete(_place(kind, name))


def names(store: BlobStore, kind: str = "") -> Iterator[Listed]:
    """Yield the names of a kind, or all of them; raises BlobError when they cannot be listed."""
    for path, size, written in store.files.below(f"names/{kind}" if kind else "names"):
        _, _, rest = path.partition("/")
        of, _, file = rest.partition("/")
        if file.endswith(".json"):
            yield Listed(of, unquote(file.removesuffix(".json")), written, (size, written))


def _place(kind: str, name: str) -> str:
    if not kind.replace("-", "").isalnum() or not name:
        raise ValueError(f"a kind is a plain word and a name is not empty: {kind!r}, {name!r}")
    return f"names/{kind}/{quote(name, safe='@+=~ -')}.json"
