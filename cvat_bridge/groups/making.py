"""Makes groups of assets: from a snapshot, the holdout, a slice, or frames that a person chose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cvat_bridge.blindspots.queries import failures
from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.evaluations.evaluated_frames import Source
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import AssetGroup
from cvat_bridge.ledger.records import frame_key
from trainer.data.snapshot_forms import read_manifest
from trainer.errors import DatasetError

Kind = Literal["snapshot", "holdout", "slice", "search", "frames"]
MOST = 200_000  # frames of a group
_NAME = re.compile(r"\w[^/\\]{0,99}")
_FRAME = re.compile(r"\d{1,12}/\d{1,9}")


@dataclass(frozen=True)
class GroupRequest:
    """A group to make.

    name: at most 100 characters without a slash; a name that is known gets its next version.
    kind: where the frames come from. snapshot: fingerprint of one. model, source, where, threshold:
    of a slice's failures. frames: keys "<task>/<number>" of a search or a choice.
    """

    name: str
    kind: Kind
    snapshot: str = ""
    model: str = ""
    source: Source = "holdout"
    where: str = ""
    threshold: float | None = None
    frames: tuple[str, ...] = ()


def make_group(
    home: Home, ledger: Ledger, request: GroupRequest, *, who: str, now: str
) -> AssetGroup:
    """Make the next version of a group, or return the last one where it holds the same frames.

    Raises ConfigError with every fault, NothingToDoError where there is no frame to hold.
    """
    name = " ".join(request.name.split())
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise ConfigError(
            [f"name: 1 to 100 characters without a slash, a letter or digit first, found {name!r}"]
        )
    keys, about = _frames(home, ledger, request)
    frames = tuple(dict.fromkeys(keys))[:MOST]
    if not frames:
        raise NothingToDoError(f"there is no frame for the group {name!r}: {about}")
    last = latest(ledger, name)
    if last is not None and set(last.frames) == set(frames):
        return last
    images = ledger.frames_of(frames)
    row = AssetGroup(
        name,
        1 if last is None else last.version + 1,
        request.kind,
        about,
        frames,
        tuple(images[key].sha256 if key in images else "" for key in frames),
        who,
        now,
    )
    ledger.people.save_group(row)
    return row


def latest(ledger: Ledger, name: str) -> AssetGroup | None:
    """Return the newest version of a group, None where there is none of this name."""
    return max(
        (row for row in ledger.people.groups() if row.name == name),
        key=lambda row: row.version,
        default=None,
    )


def find_group(ledger: Ledger, name: str, version: int | None = None) -> AssetGroup:
    """Return a version of a group, the newest unless one is named; else ConfigError."""
    rows = [row for row in ledger.people.groups() if row.name == name]
    found = [row for row in rows if version in (None, row.version)]
    if not found:
        known = ", ".join(sorted({row.name for row in ledger.people.groups()})) or "none yet"
        which = f"{name!r}" if version is None or not rows else f"{name!r} of version {version}"
        raise ConfigError([f"there is no group {which}; known are {known}"])
    return found[-1]


def _frames(home: Home, ledger: Ledger, request: GroupRequest) -> tuple[Iterable[str], str]:
    """Return the keys of the frames, and where they come from in words."""
    if request.kind == "snapshot":
        return _of_snapshot(home, request.snapshot)
    if request.kind == "holdout":
        held = {sha for sha, row in ledger.memberships().items() if row.role == "holdout"}
        keys = [row.key for row in ledger.frames().values() if row.sha256 in held]
        return _sorted(keys), f"the holdout: {len(held)} images that judge models"
    if request.kind == "slice":
        found = failures(
            home,
            ledger,
            model=request.model,
            source=request.source,
            where=request.where,
            threshold=request.threshold,
            count=MOST,
        )
        keys = [frame_key(row.task_id, row.frame) for row in found.rows]
        return keys, f"failures of model {request.model[:8]}: {found.words}"
    bad = [key for key in request.frames if not _FRAME.fullmatch(key)]
    if bad:
        raise ConfigError([f"frames: each is <task>/<number>, found {bad[0]!r}"])
    about = "a saved search" if request.kind == "search" else "chosen frames"
    return request.frames, f"{about}{': ' + request.where if request.where else ''}"


def _of_snapshot(home: Home, fingerprint: str) -> tuple[Iterable[str], str]:
    if not re.fullmatch(r"[0-9a-f]{8,64}", fingerprint):
        raise ConfigError([f"snapshot: the fingerprint of one, found {fingerprint!r}"])
    folders = sorted(home.snapshots.glob(f"{fingerprint}*"))
    if len(folders) != 1:
        raise ConfigError([f"snapshot: {len(folders)} snapshots begin with {fingerprint!r}"])
    try:
        rows = read_manifest(folders[0])["images"]
    except DatasetError as error:
        raise ConfigError([str(error)]) from error
    keys = [
        frame_key(int(row["extra"]["task"]), int(row["extra"]["frame"]))
        for row in rows
        if {"task", "frame"} <= set(row.get("extra", {}))
    ]
    return _sorted(keys), f"snapshot {folders[0].name[:12]}: what a training read"


def _sorted(keys: Sequence[str]) -> list[str]:
    return sorted(keys, key=lambda key: tuple(map(int, key.split("/"))))
