"""A backup of all records of a bridge as one file, and back again, on either database.

The file is a ZIP with the ledger of each project and the records of rounds as SQLite files, and a
`manifest.json` with a sha256 of each. It is made while the bridge works: each part at one moment,
the records of rounds first, since a ledger knows at least what they know.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cvat_bridge.config import Config
from cvat_bridge.database.copying import set_schema_aside
from cvat_bridge.database.damage import damage_of, set_aside
from cvat_bridge.database.engine import Database
from cvat_bridge.database.place import Place, is_server
from cvat_bridge.errors import HomeError, LedgerError
from cvat_bridge.ledger.opening import ledger_place
from cvat_bridge.recovery.copies.moving import copy_place, rounds_url
from cvat_bridge.recovery.copies.rounds import copy_rounds, has_rounds, set_rounds_aside
from cvat_bridge.recovery.durable import database_file
from trainer.data.files import parse_json
from trainer.machine.storage_faults import storage_fault

_FORMAT = 1
_MANIFEST = "manifest.json"
_ROUNDS = "rounds.db"
_REPLACED = "replaced"


@dataclass(frozen=True)
class Backup:
    """What a backup holds. made: ISO 8601. ledgers: rows by project. rounds: rows, 0 for none."""

    made: str
    ledgers: Mapping[int, int]
    rounds: int


@dataclass(frozen=True)
class PutBack:
    """What a restore did. set_aside: what was there → the name it has now."""

    backup: Backup
    set_aside: Mapping[str, str]


def backup(configs: Sequence[Config], file: Path) -> Backup:
    """Write the records of projects that share a home to a new file; the bridge may work meanwhile.

    Raises HomeError where the file is there already or cannot be written, LedgerError.
    """
    if file.exists():
        raise HomeError(f"{file} is there already; name a new file")
    try:
        with TemporaryDirectory(dir=file.parent, prefix=".backup-") as scratch:
            folder = Path(scratch)
            rounds = copy_rounds(rounds_url(configs[0]), f"sqlite:///{folder / _ROUNDS}")
            ledgers = {}
            for config in configs:
                place = ledger_place(config)
                if place.file is None or place.file.exists():
                    copy = folder / _name(config.project_id)
                    ledgers[config.project_id] = copy_place(place, Place("project", file=copy))
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            made = Backup(now, ledgers, sum(rounds.values()))
            part = folder / "backup.zip"
            _pack(part, folder, made)
            part.replace(file)
    except OSError as error:
        told = storage_fault(error) or str(error)
        raise HomeError(f"the backup {file} cannot be written: {told}") from error
    return made


def put_back(configs: Sequence[Config], file: Path) -> PutBack:
    """Put a backup in the place of the records of today, which are kept under another name.

    configs: of projects that share a home, held by the caller. Raises LedgerError for a file that
    is no whole backup, or has other projects than these; then nothing was changed.
    """
    with _unpacked(file) as (folder, made):
        known = {config.project_id: config for config in configs}
        foreign = sorted(set(made.ledgers) - set(known))
        if foreign:
            raise LedgerError(
                f"{file} has the records of project {', '.join(map(str, foreign))}, which this "
                "configuration does not name; `cvat-bridge projects add` them first"
            )
        aside: dict[str, str] = {}
        for number in made.ledgers:
            _put_ledger(folder / _name(number), ledger_place(known[number]), aside)
        if made.rounds:
            _put_rounds(folder / _ROUNDS, rounds_url(configs[0]), aside)
        return PutBack(made, aside)


def _put_ledger(copy: Path, place: Place, aside: dict[str, str]) -> None:
    if place.file is not None:
        _put_file(copy, place.file, aside)
        return
    old = Database(place)
    try:
        name = set_schema_aside(old, _REPLACED)
    finally:
        old.close()
    aside[str(place)] = f"schema {name}"
    copy_place(Place("project", file=copy), place)


def _put_rounds(copy: Path, url: str, aside: dict[str, str]) -> None:
    file = database_file(url)
    if file is not None:
        _put_file(copy, file, aside)
        return
    if is_server(url) and has_rounds(url):
        aside["the records of rounds"] = f"schema {set_rounds_aside(url, _REPLACED)}"
    copy_rounds(f"sqlite:///{copy}", url)


def _put_file(copy: Path, file: Path, aside: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    shutil.copyfile(copy, part)
    if file.exists():
        aside[str(file)] = str(set_aside(file, _REPLACED))
    part.replace(file)


def _name(project_id: int) -> str:
    return f"project-{project_id}.db"


def _pack(part: Path, folder: Path, made: Backup) -> None:
    files = sorted(folder.glob("*.db"))
    manifest = {
        "format": _FORMAT,
        "made": made.made,
        "ledgers": {str(number): rows for number, rows in made.ledgers.items()},
        "rounds": made.rounds,
        "sha256": {file.name: _digest(file) for file in files},
    }
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=2))
        for file in files:
            archive.write(file, file.name)
    with part.open("rb") as handle:
        os.fsync(handle.fileno())


@contextmanager
def _unpacked(file: Path) -> Iterator[tuple[Path, Backup]]:
    """Unpack a backup whose every part is as it was written. Raises LedgerError."""
    with TemporaryDirectory(prefix="cvat-bridge-") as scratch:
        folder = Path(scratch)
        try:
            with zipfile.ZipFile(file) as archive:
                manifest: dict[str, Any] = parse_json(archive.read(_MANIFEST))
                if manifest["format"] != _FORMAT:
                    raise LedgerError(
                        f"{file} has format {manifest['format']}, this program reads {_FORMAT}"
                    )
                for name in manifest["sha256"]:
                    target = folder / Path(name).name
                    with archive.open(name) as packed, target.open("wb") as out:
                        shutil.copyfileobj(packed, out)
                made = Backup(
                    str(manifest["made"]),
                    {int(number): int(rows) for number, rows in manifest["ledgers"].items()},
                    int(manifest["rounds"]),
                )
            wrong = [n for n, sha in manifest["sha256"].items() if _digest(folder / n) != sha]
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"{file} is no backup that can be read: {error}") from error
        wrong += [n for n in manifest["sha256"] if damage_of(folder / n)]
        if wrong:
            raise LedgerError(f"{file} is damaged: {', '.join(sorted(set(wrong)))}")
        for number in made.ledgers:
            # Of a later program they are refused here, before anything is touched.
            Database(Place("project", file=folder / _name(number))).close()
        yield folder, made


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
