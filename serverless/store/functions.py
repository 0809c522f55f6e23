"""The store of the function host: a folder with one JSON file per function.

    <store>/<function-id>.json   an Entry; names the bundle that serves

The bridge writes, the host reads at each request, neither calls the other. Files are replaced by
rename, so a reader sees either the old entry or the new one. The folder may be this machine's copy
of a store that several share, see shared.py; what is published goes there, too.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from serverless.errors import StoreError
from serverless.store.confidence import ConfidenceForm
from trainer.data.files import parse_json

KINDS = ("detector", "interactor")
LABEL_TYPES = ("rectangle", "ellipse", "polygon", "mask", "any")
MASKED = ("polygon", "mask")  # label types that need more than a box
# CVAT's route accepts no other names.
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class FunctionLabel:
    """How one class of a bundle appears in CVAT.

    source: the class in the bundle's label map. name: the label shown in CVAT. type: one of
    LABEL_TYPES; it determines the shape that is sent. A model of boxes returns rectangles for
    "any", and an interactor's mask of each box for "polygon" and "mask". confidence: the label's
    attribute of that name, filled with the score if CVAT has one.
    """

    source: str
    name: str
    type: str = "any"
    confidence: ConfidenceForm = field(default_factory=ConfidenceForm)

    def __post_init__(self) -> None:
        if not self.source or not self.name:
            raise ValueError(f"a label needs a source and a name, found {self!r}")
        if self.type not in LABEL_TYPES:
            raise ValueError(
                f"label {self.name!r}: type must be one of {', '.join(LABEL_TYPES)},"
                f" found {self.type!r}"
            )


@dataclass(frozen=True)
class Entry:
    """A function in CVAT's list of models, and its bundle.

    id: letters, digits, "_", ".", "-"; stable when the model changes. kind: "detector" or
    "interactor". name, description: shown in CVAT, never empty. bundle: the bundle's folder;
    relative paths refer to the store's folder. version: the bundle's version; a new version makes
    the host reload. labels: the classes shown; empty means all of the bundle under their own names,
    as masks if the bundle's task is masks, else with type "any". Other classes are not sent.
    min_score: 0..1, used if the caller sends no threshold (CVAT drops a threshold of 0); None uses
    the bundle's card, which may differ per class. annotations: further properties of an interactor
    for CVAT (min_pos_points, help_message, …), as text. interactor: folder of the bundle, like
    bundle, of the interactor that turns a detector's boxes into masks; None for the built-in one.

    Raises ValueError naming every fault.
    """

    id: str
    kind: str
    name: str
    description: str
    bundle: Path
    version: str
    labels: tuple[FunctionLabel, ...] = ()
    min_score: float | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    interactor: Path | None = None

    @property
    def shows_masks(self) -> bool:
        """Return whether a class is shown as masks or polygons, which need more than a box."""
        return any(label.type in MASKED for label in self.labels)

    def __post_init__(self) -> None:
        faults = []
        if not _ID.fullmatch(self.id):
            faults.append(f"id must be letters, digits, _ . - (no dot first), found {self.id!r}")
        if self.kind not in KINDS:
            faults.append(f"kind must be one of {', '.join(KINDS)}, found {self.kind!r}")
        faults += [
            f"{key} must not be empty"
            for key in ("name", "description", "version")
            if not getattr(self, key).strip()
        ]
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            faults.append(f"min_score must lie in 0..1, found {self.min_score}")
        for key in ("source", "name"):
            seen = [getattr(label, key) for label in self.labels]
            faults += [
                f"two labels have the {key} {value!r}"
                for value in sorted({value for value in seen if seen.count(value) > 1})
            ]
        if not all(isinstance(value, str) for value in self.annotations.values()):
            faults.append(f"annotations must be text, found {dict(self.annotations)!r}")
        if faults:
            raise ValueError("; ".join(faults))


@dataclass(frozen=True)
class Listing:
    """The content of the store: the entries in order of id, and the files that are not entries."""

    entries: tuple[Entry, ...]
    faults: tuple[StoreError, ...]


def publish(store: Path, entry: Entry) -> None:
    """Make the hosts serve this entry from the next request on; replaces an entry of the same id.

    Raises StoreError when the folder, or the store that it follows, cannot be written.
    """
    from serverless.store.shared import put_function, shared_store

    shared = shared_store(store)
    if shared is not None:
        put_function(shared, entry.id, as_values(entry), store)
    write_entry(store, entry)


def withdraw(store: Path, function_id: str) -> None:
    """Remove a function from CVAT's list; no effect if it is not there. Raises StoreError."""
    from serverless.store.shared import remove_function, shared_store

    shared = shared_store(store)
    if shared is not None:
        remove_function(shared, function_id, store)
    remove_entry(store, function_id)


def write_entry(store: Path, entry: Entry) -> None:
    """Put an entry into the folder, in place of one of the same id. Raises StoreError."""
    path = store / f"{entry.id}.json"
    text = json.dumps(as_values(entry), indent=1)
    try:
        store.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=store, prefix=f".{entry.id}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(path, f"cannot be written: {error}") from error


def remove_entry(store: Path, function_id: str) -> None:
    """Remove an entry from the folder; no effect if it is not there. Raises StoreError."""
    path = store / f"{function_id}.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(path, f"cannot be removed: {error}") from error


def as_values(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON values, as `read_values` reads them."""
    content = asdict(entry) | {"bundle": str(entry.bundle)}
    # Omitted if there is none, so that earlier hosts can read the entry.
    del content["interactor"]
    if entry.interactor is not None:
        content["interactor"] = str(entry.interactor)
    return content


def listing(store: Path) -> Listing:
    """Read all entries; a malformed file becomes a fault and does not affect the others.

    A missing folder is an empty store. Raises StoreError when it cannot be read.
    """
    try:
        paths = sorted(path for path in store.glob("*.json") if not path.name.startswith("."))
    except OSError as error:
        raise StoreError(store, f"cannot be read: {error}") from error
    found: list[Entry] = []
    faults: list[StoreError] = []
    for path in paths:
        try:
            found.append(_read(path))
        except StoreError as fault:
            faults.append(fault)
    return Listing(tuple(found), tuple(faults))


def entries(store: Path) -> tuple[Entry, ...]:
    """Return the entries that can be read, in order of id; `listing` also reports the others."""
    return listing(store).entries


def _read(path: Path) -> Entry:
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(path, f"not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(path, f"expected a JSON object, found {type(content).__name__}")
    try:
        entry = read_values(content, path.parent)
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(path, f"not an entry: {error}") from error
    if entry.id != path.stem:
        raise StoreError(path, f"the file is named {path.stem!r} but its id is {entry.id!r}")
    return entry


def read_values(content: Mapping[str, Any], folder: Path) -> Entry:
    """Return the entry of these values; relative paths in it refer to the folder.

    Raises ValueError, TypeError or KeyError.
    """
    if unknown := set(content) - {field.name for field in fields(Entry)}:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    for key in ("id", "kind", "name", "description", "bundle", "version"):
        if not isinstance(content.get(key), str):
            raise TypeError(f"{key} must be text, found {content.get(key)!r}")
    interactor = content.get("interactor")
    if not isinstance(interactor, str | None):
        raise TypeError(f"interactor must be text, found {interactor!r}")
    score = content.get("min_score")
    if isinstance(score, bool) or not isinstance(score, int | float | None):
        raise TypeError(f"min_score must be a number, found {score!r}")
    labels = content.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        raise TypeError("labels must be a list of objects")
    if not isinstance(content.get("annotations", {}), dict):
        raise TypeError("annotations must be an object")
    return Entry(
        **{
            **content,
            "bundle": folder / content["bundle"],
            "interactor": None if interactor is None else folder / interactor,
            "labels": tuple(_label(label) for label in labels),
            "min_score": None if score is None else float(score),
        }
    )


def _label(content: Mapping[str, Any]) -> FunctionLabel:
    form = content.get("confidence", {})
    if not isinstance(form, dict) or not isinstance(form.get("values", []), list):
        raise TypeError(f"a label's confidence must be an object, found {form!r}")
    values = tuple(str(value) for value in form.get("values", []))
    return FunctionLabel(**{**content, "confidence": ConfidenceForm(**{**form, "values": values})})
