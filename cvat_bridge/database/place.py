"""The place of records: a file of SQLite, or a schema of a PostgreSQL server.

Imports nothing heavy, so that every command may name a place. On a server the records of each
project have a schema of their own, so that no query can meet the rows of another project; what the
projects of a service have in common has one more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cvat_bridge.errors import ConfigError

Kind = Literal["project", "service"]
SERVICE_SCHEMA = "cvat_bridge"
_SERVER = re.compile(r"(postgres|postgresql)(\+\w+)?://")


@dataclass(frozen=True)
class Place:
    """One place of records. kind: which tables stand there.

    file: of SQLite, None on a server. url, schema: on a server, "" for a file. service: the file
    of what projects have in common, which holds the lease of a project's fenced writes.
    """

    kind: Kind
    file: Path | None = None
    url: str = field(default="", repr=False)
    schema: str = ""
    service: Path | None = None

    def __str__(self) -> str:
        """Name it for people, without user, password and options."""
        if self.file is not None:
            return str(self.file)
        where = self.url.partition("://")[2].rpartition("@")[2].partition("?")[0]
        return f"postgresql://{where}, schema {self.schema}"


def is_server(database_url: str | None) -> bool:
    """Whether a `database_url` names a server, which then holds all records."""
    return bool(database_url) and not str(database_url).startswith("sqlite")


def project_place(
    database_url: str | None, file: Path, project_id: int | None, *, service: Path | None = None
) -> Place:
    """Return where the records of a project stand.

    file: of its ledger in home, service: of what projects have in common; used where the address
    names no server. Raises ConfigError for an address that is neither SQLite's nor PostgreSQL's.
    """
    if not is_server(database_url):
        return Place("project", file=file, service=service)
    if project_id is None:
        raise ConfigError(["cvat.project: no project is set; run `cvat-bridge init`"])
    schema = f"{SERVICE_SCHEMA}_project_{project_id}"
    return Place("project", url=_server_url(str(database_url)), schema=schema)


def service_place(database_url: str | None, file: Path) -> Place:
    """Return where stands what the projects of a service have in common: leases and flags."""
    if not is_server(database_url):
        return Place("service", file=file)
    return Place("service", url=_server_url(str(database_url)), schema=SERVICE_SCHEMA)


def rounds_place(database_url: str) -> Place:
    """Return where DBOS records rounds, for people: it keeps its tables itself."""
    if not is_server(database_url):
        return Place("service", file=Path(database_url.partition(":///")[2]))
    return Place("service", url=database_url, schema="dbos")


def _server_url(url: str) -> str:
    """Return the address with the driver that is installed with us."""
    if not _SERVER.match(url):
        scheme = url.partition(":")[0]
        raise ConfigError(
            [f"database_url: sqlite:///… or postgresql://… is expected, found {scheme}://…"]
        )
    return f"postgresql+psycopg://{url.partition('://')[2]}"
