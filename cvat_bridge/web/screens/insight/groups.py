"""The screen *Groups of assets*."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.groups.exporting import exported_file
from cvat_bridge.groups.usage import Usage, usage_of
from cvat_bridge.ledger.page_records import AssetGroup
from cvat_bridge.ledger.records import split_key
from cvat_bridge.web.background.work_queue import WorkItem
from cvat_bridge.web.sites import Site
from trainer.data.snapshot_forms import FORMS

SHOWN = 6  # thumbnails of a group in the list
PAGE = 60  # thumbnails on the screen of one


@dataclass(frozen=True)
class GroupRow:
    """A group in the list: its newest version, and thumbnails of it as (task, frame)."""

    group: AssetGroup
    versions: int
    frames: int
    thumbs: tuple[tuple[int, int], ...]
    used: tuple[Usage, ...]


@dataclass(frozen=True)
class Export:
    """An export of a version. file: whether it lies there; made: the work that wrote it last."""

    form: str
    there: bool
    work: WorkItem | None


@dataclass(frozen=True)
class GroupScreen:
    """One version of a group, with all versions there are."""

    group: AssetGroup
    versions: tuple[AssetGroup, ...]
    thumbs: tuple[tuple[int, int], ...]
    used: tuple[Usage, ...]
    exports: tuple[Export, ...]


@dataclass(frozen=True)
class SnapshotChoice:
    """A snapshot that a group can be made of. round: whose training read it, 0 where unknown."""

    fingerprint: str
    round: int


def group_rows(site: Site) -> tuple[GroupRow, ...]:
    """Return every group with its newest version, the newest group first. Raises LedgerError."""
    parts = site.parts
    by_name: dict[str, list[AssetGroup]] = {}
    for row in parts.ledger.people.groups():
        by_name.setdefault(row.name, []).append(row)
    newest = sorted((rows[-1] for rows in by_name.values()), key=lambda row: row.made, reverse=True)
    return tuple(
        GroupRow(
            row,
            len(by_name[row.name]),
            len(row.frames),
            _thumbs(row, SHOWN),
            usage_of(parts.home, parts.ledger, row),
        )
        for row in newest
    )


def group_screen(
    site: Site, group: AssetGroup, items: tuple[WorkItem, ...], start: int
) -> GroupScreen:
    """Return the screen of one version. items: exports that people asked for, oldest first."""
    parts = site.parts
    versions = tuple(row for row in parts.ledger.people.groups() if row.name == group.name)
    exports = []
    for form in sorted(FORMS):
        asked = {"name": group.name, "version": group.version, "form": form}
        work = next((one for one in reversed(items) if one.asked == asked), None)
        exports.append(Export(form, exported_file(parts.home, group, form).is_file(), work))
    used = usage_of(parts.home, parts.ledger, group)
    return GroupScreen(group, versions, _thumbs(group, PAGE, start), used, tuple(exports))


def snapshots_of(site: Site) -> tuple[SnapshotChoice, ...]:
    """Return the snapshots that lie in the home, those of the newest rounds first."""
    folder = site.parts.home.snapshots
    rounds = {
        str(row.figures["dataset"]).rpartition("/")[2]: row.number
        for row in site.parts.ledger.rounds()
        if row.figures.get("dataset")
    }
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    rows = [SnapshotChoice(name, rounds.get(name, 0)) for name in names if not name.startswith(".")]
    return tuple(sorted(rows, key=lambda row: (-row.round, row.fingerprint)))


def _thumbs(group: AssetGroup, most: int, start: int = 0) -> tuple[tuple[int, int], ...]:
    return tuple(split_key(key) for key in group.frames[start : start + most])
