"""The folder that says what the function host serves: one JSON file a function.

    <store>/<function-id>.json   an Entry; names the bundle that answers

The bridge writes, the host reads at each request, neither calls the other. A file is replaced by
rename, so a reader sees the old entry or the new one and nothing between.
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

KINDS = ("detector", "interactor")
LABEL_TYPES = ("rectangle", "ellipse", "polygon", "mask", "any")
MASKED = ("polygon", "mask")  # the label types that a box alone does not answer
# CVAT's own route accepts no other name.
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class FunctionLabel:
    """How one class of a bundle appears in CVAT.

    source: the class in the bundle's label map. name: the label shown in CVAT.
    type: one of LABEL_TYPES; it decides the shape that is sent. A model of boxes answers "any"
    with rectangles, and "polygon" and "mask" with what an interactor draws in each box.
    confidence: the label's attribute of that name, filled with the score where CVAT has one.
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
    """One function in CVAT's list of models, and the bundle behind it.

    id: letters, digits, "_", ".", "-"; stays the same when the model changes.
    kind: "detector" or "interactor". name, description: shown in CVAT, never empty.
    bundle: the bundle's folder; relative paths count from the store's folder.
    version: the bundle's version; another version makes the host load anew.
    labels: the classes shown; empty means all of the bundle under their own names, as masks where
    the bundle's task is masks and else of type "any". Classes left out are not sent.
    min_score: 0..1, used where the caller names no threshold (CVAT drops a threshold of 0); None
    leaves it to the bundle's card, which may differ a class.
    annotations: what else CVAT reads of an interactor (min_pos_points, help_message, …), as text.
    interactor: the bundle's folder, as bundle, of the interactor that makes masks of a detector's
    boxes; None is the one that ships.

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
        """Whether a class is shown as masks or polygons, which a box alone does not answer."""
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
    """What the store holds: the entries in order of id, and the files that are not entries."""

    entries: tuple[Entry, ...]
    faults: tuple[StoreError, ...]


def publish(store: Path, entry: Entry) -> None:
    """Make the host serve this entry from its next request on; replaces the entry of that id.

    Raises StoreError when the folder cannot be written.
    """
    path = store / f"{entry.id}.json"
    content = asdict(entry) | {"bundle": str(entry.bundle)}
    # Left out where there is none, so that a host of before reads the entry as well.
    del content["interactor"]
    if entry.interactor is not None:
        content["interactor"] = str(entry.interactor)
    text = json.dumps(content, indent=1)
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


def withdraw(store: Path, function_id: str) -> None:
    """Take a function out of CVAT's list; nothing happens when it is not there."""
    path = store / f"{function_id}.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(path, f"cannot be removed: {error}") from error


def listing(store: Path) -> Listing:
    """Read every entry; a malformed file becomes a fault and leaves the others alone.

    A folder that does not exist yet is an empty store. Raises StoreError when it cannot be read.
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
    """Return the entries that can be read, in order of id; `listing` also tells of the others."""
    return listing(store).entries


def _read(path: Path) -> Entry:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(path, f"not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(path, f"expected a JSON object, found {type(content).__name__}")
    try:
        entry = _entry(content, path.parent)
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(path, f"not an entry: {error}") from error
    if entry.id != path.stem:
        raise StoreError(path, f"the file is named {path.stem!r} but its id is {entry.id!r}")
    return entry


def _entry(content: Mapping[str, Any], folder: Path) -> Entry:
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
