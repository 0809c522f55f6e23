"""The functions available now: the current store, each function described for CVAT."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serverless.errors import FunctionError, ModelError, UnknownFunctionError
from serverless.store.describe import describe, labels_of
from serverless.store.functions import Entry, FunctionLabel, Listing, listing
from trainer.bundles.bundle import Card, read_bundle
from trainer.errors import TrainerError

Signature = tuple[tuple[str, int, int, int], ...]


@dataclass
class Catalogue:
    """The functions of a store. Files are read again only after a change.

    builtin: further functions, unless the store has an entry with the same id.
    """

    store: Path
    builtin: tuple[Entry, ...] = ()
    _signature: Signature | None = None
    _listing: Listing = field(default_factory=lambda: Listing((), ()))
    _cards: dict[tuple[str, str], Card] = field(default_factory=dict)

    def read(self) -> Listing:
        """Return the current store; raises StoreError when the folder cannot be read."""
        signature = self._signature_now()
        if signature is None or signature != self._signature:
            self._listing = _with(listing(self.store), self.builtin)
            self._signature = signature
            current = {(str(entry.bundle), entry.version) for entry in self._listing.entries}
            self._cards = {key: card for key, card in self._cards.items() if key in current}
        return self._listing

    def entry(self, function_id: str) -> Entry:
        """Return an entry; UnknownFunctionError when it is not published."""
        for entry in self.read().entries:
            if entry.id == function_id:
                return entry
        raise UnknownFunctionError(function_id)

    def describe(self, entry: Entry, *, port: int, fault: str = "") -> dict[str, Any]:
        """Return the function object for CVAT; ModelError when its labels cannot be determined."""
        try:
            return describe(entry, self._labels(entry), port=port, fault=fault)
        except FunctionError as error:
            if not entry.labels:
                raise
            return describe(entry, entry.labels, port=port, fault=fault or str(error))

    def _labels(self, entry: Entry) -> tuple[FunctionLabel, ...]:
        key = (str(entry.bundle), entry.version)
        if key not in self._cards:
            try:
                # Weights are verified when they are loaded, not for the list.
                bundle = read_bundle(entry.bundle, verify=False, version=entry.version)
            except (TrainerError, OSError) as error:
                raise ModelError(f"model {entry.id!r}: {error}") from error
            self._cards[key] = bundle.card
        return labels_of(entry, self._cards[key])

    def _signature_now(self) -> Signature | None:
        try:
            found = [(path.name, path.stat()) for path in self.store.glob("*.json")]
        except OSError:
            return None
        return tuple(sorted((n, s.st_mtime_ns, s.st_ino, s.st_size) for n, s in found))


def _with(found: Listing, builtin: tuple[Entry, ...]) -> Listing:
    # An unreadable file may be meant to replace a built-in entry.
    taken = {entry.id for entry in found.entries} | {fault.path.stem for fault in found.faults}
    added = [entry for entry in builtin if entry.id not in taken]
    return Listing(tuple(sorted([*found.entries, *added], key=lambda e: e.id)), found.faults)
