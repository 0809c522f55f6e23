"""Records from one database to another: `cvat-bridge database move`, and at a start of the bridge.

The files of the old place are renamed when everything is in the new one, so that no program goes
on with them by mistake. A move that was interrupted goes on where it was: what is equal on both
sides is left, and what differs is never written over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.config import Config
from cvat_bridge.database.copying import copy_ledger
from cvat_bridge.database.damage import damage_of, set_aside
from cvat_bridge.database.engine import Database
from cvat_bridge.database.faults import damaged
from cvat_bridge.database.place import Place, is_server
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.ledger.opening import MOVED, ledger_place
from cvat_bridge.recovery.copies.rounds import copy_rounds, has_rounds
from cvat_bridge.recovery.durable import database_file


@dataclass(frozen=True)
class Moved:
    """What a move did. ledgers: rows by project; rounds: rows of the records of rounds.

    set_aside: files that are not used any more → where they lie now.
    """

    ledgers: Mapping[int, int]
    rounds: int
    set_aside: Mapping[Path, Path]


def move(configs: Sequence[Config], database_url: str | None) -> Moved:
    """Move the records of projects to where a `database_url` says, None for files in home.

    configs: of projects that share a home, held by the caller. Raises ConfigError, LedgerError.
    """
    if not configs:
        raise ConfigError(["there is no project whose records could be moved"])
    targets = [one.model_copy(update={"database_url": database_url}) for one in configs]
    before, after = rounds_url(configs[0]), rounds_url(targets[0])
    ledgers, files = {}, []
    # The records of rounds first: a ledger knows at least what they know.
    rounds = copy_rounds(before, after) if before != after else {}
    if before != after and (file := database_file(before)) is not None and file.exists():
        files.append(file)
    for config, target in zip(configs, targets, strict=True):
        place, new = ledger_place(config), ledger_place(target)
        if place == new or (place.file is not None and not place.file.exists()):
            continue
        ledgers[config.project_id] = copy_place(place, new)
        if place.file is not None:
            files.append(place.file)
    aside = {file: set_aside(file, MOVED) for file in files}
    return Moved(ledgers, sum(rounds.values()), aside)


def take_over(configs: Sequence[Config]) -> Moved | None:
    """Bring records that still lie in home to the server that the configuration names now.

    None where there are none. Raises LedgerError, and what else move raises.
    """
    waiting = [
        config
        for config in configs
        if is_server(config.database_url) and Home.of(config).ledger.exists()
    ]
    if not waiting:
        return None
    url = waiting[0].database_url
    if has_rounds(str(url)):
        return _ledgers_only(waiting)  # the records of rounds were on the server all along
    return move([config.model_copy(update={"database_url": None}) for config in waiting], url)


def rounds_url(config: Config) -> str:
    """Return where the records of rounds stand."""
    return config.database_url or Home.of(config).rounds_url


def copy_place(source: Place, target: Place) -> int:
    """Copy one ledger and compare it; return its rows. Raises LedgerError."""
    if source.file is not None and (damage := damage_of(source.file)):
        raise damaged(source, damage)
    old = Database(source)
    try:
        new = Database(target)
        try:
            return sum(copy_ledger(old, new).values())
        finally:
            new.close()
    finally:
        old.close()


def _ledgers_only(configs: Sequence[Config]) -> Moved:
    counts, aside = {}, {}
    for config in configs:
        file = Home.of(config).ledger
        counts[config.project_id] = copy_place(Place("project", file=file), ledger_place(config))
        aside[file] = set_aside(file, MOVED)
    return Moved(counts, 0, aside)
