"""The ledger's file: its tables, their migrations, and the one lock that writers take."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cvat_bridge.database.damage import damage_of
from cvat_bridge.errors import LedgerError, RecordsError

# The n-th entry makes version n of the file.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE frames (
            key TEXT PRIMARY KEY, task_id INTEGER NOT NULL, frame INTEGER NOT NULL,
            sha256 TEXT NOT NULL, suffix TEXT NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, perceptual TEXT NOT NULL, problem TEXT NOT NULL)""",
        """CREATE TABLE jobs_used (
            job_id INTEGER PRIMARY KEY, updated_date TEXT NOT NULL, state TEXT NOT NULL,
            fingerprint TEXT NOT NULL)""",
        """CREATE TABLE job_looks (
            job_id INTEGER PRIMARY KEY, updated_date TEXT NOT NULL, touched INTEGER NOT NULL)""",
        """CREATE TABLE selections (
            round INTEGER NOT NULL, rank INTEGER NOT NULL, task_id INTEGER NOT NULL,
            frame INTEGER NOT NULL, score REAL, arm TEXT NOT NULL, reason TEXT NOT NULL,
            weight REAL, PRIMARY KEY (round, rank))""",
        """CREATE TABLE provenance (
            task_id INTEGER NOT NULL, frame INTEGER NOT NULL, source_task INTEGER NOT NULL,
            source_frame INTEGER NOT NULL, round INTEGER NOT NULL, rank INTEGER NOT NULL,
            score REAL, arm TEXT NOT NULL, reason TEXT NOT NULL, weight REAL,
            PRIMARY KEY (task_id, frame))""",
        """CREATE TABLE proposals (
            round INTEGER NOT NULL, job_id INTEGER NOT NULL, frame INTEGER NOT NULL,
            place INTEGER NOT NULL, label_id INTEGER NOT NULL, label TEXT NOT NULL,
            shape_type TEXT NOT NULL, points TEXT NOT NULL, score REAL NOT NULL,
            model TEXT NOT NULL, shape_id INTEGER, source TEXT NOT NULL,
            PRIMARY KEY (round, job_id, frame, place))""",
        """CREATE TABLE preannotated (
            job_id INTEGER PRIMARY KEY, round INTEGER NOT NULL, model TEXT NOT NULL,
            problem TEXT NOT NULL)""",
        """CREATE TABLE corrections (
            round INTEGER NOT NULL, job_id INTEGER NOT NULL, frame INTEGER NOT NULL,
            place INTEGER NOT NULL, outcome TEXT NOT NULL, proposed_label TEXT NOT NULL,
            final_label TEXT NOT NULL, iou REAL, score REAL, model TEXT NOT NULL,
            PRIMARY KEY (job_id, frame, place))""",
        """CREATE TABLE rounds (
            number INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, state TEXT NOT NULL,
            waits_for TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL,
            decision TEXT NOT NULL, reasons TEXT NOT NULL, figures TEXT NOT NULL)""",
        """CREATE TABLE decisions (
            round INTEGER PRIMARY KEY, champion TEXT NOT NULL, challenger TEXT NOT NULL,
            promoted INTEGER NOT NULL, reasons TEXT NOT NULL, figures TEXT NOT NULL,
            decided TEXT NOT NULL)""",
        """CREATE TABLE holdout (
            sha256 TEXT PRIMARY KEY, role TEXT NOT NULL, "group" TEXT NOT NULL, rule TEXT NOT NULL,
            since TEXT NOT NULL)""",
        "CREATE TABLE choices (round INTEGER PRIMARY KEY, about TEXT NOT NULL)",
        """CREATE TABLE ranked_jobs (
            round INTEGER NOT NULL, rank INTEGER NOT NULL, job_id INTEGER NOT NULL,
            task_id INTEGER NOT NULL, frames TEXT NOT NULL, scores TEXT NOT NULL,
            reason TEXT NOT NULL, PRIMARY KEY (round, rank))""",
        """CREATE TABLE labels (
            label_id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL)""",
        "CREATE TABLE identity (id TEXT NOT NULL)",
        "INSERT INTO identity VALUES (lower(hex(randomblob(4))))",
        "CREATE INDEX provenance_by_round ON provenance (round)",
        "CREATE INDEX proposals_by_job ON proposals (job_id)",
    ),
    (
        """CREATE TABLE annotated (
            job_id INTEGER NOT NULL, frame INTEGER NOT NULL, model TEXT NOT NULL,
            reach TEXT NOT NULL, objects INTEGER NOT NULL, pending TEXT NOT NULL,
            PRIMARY KEY (job_id, frame, model))""",
    ),
    (
        """CREATE TABLE judgements (
            model TEXT NOT NULL, source TEXT NOT NULL, round INTEGER NOT NULL,
            frames INTEGER NOT NULL, objects INTEGER NOT NULL, answers INTEGER NOT NULL,
            threshold REAL NOT NULL, file TEXT NOT NULL, crops TEXT NOT NULL,
            recorded TEXT NOT NULL, PRIMARY KEY (model, source))""",
        """CREATE TABLE pools (
            model TEXT PRIMARY KEY, round INTEGER NOT NULL, frames INTEGER NOT NULL,
            file TEXT NOT NULL, crops TEXT NOT NULL, recorded TEXT NOT NULL)""",
        """CREATE TABLE requests (
            key TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, who TEXT NOT NULL,
            name TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL, asked TEXT NOT NULL,
            request TEXT NOT NULL, task_id INTEGER, done TEXT NOT NULL, outcome TEXT NOT NULL)""",
    ),
)


_DAMAGED = (
    "Put the newest copy of it back, or stop the bridge and run `cvat-bridge restore`: it sets the "
    "file aside and finds again what CVAT and the home know"
)


def damaged_ledger(path: Path, damage: str) -> RecordsError:
    """Name a ledger that is damaged, and the way back."""
    return RecordsError([f"the ledger {path} cannot be read: {damage}"], _DAMAGED)


class LedgerFile:
    """A SQLite file in WAL mode with the tables above. Threads share it, one writes at a time."""

    def __init__(self, path: Path | str, *, patience: float) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        if damage := damage_of(self.path, deep=False):
            raise damaged_ledger(self.path, damage)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=patience, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                f"the ledger {self.path} cannot be opened: {error}. Is it a file of ours, and may "
                "this user write there?"
            ) from error
        try:
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock for one transaction; everything in it happens or nothing does."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._fault("writing to", error) from error

    def upsert(self, table: str, columns: int, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows over those of the same key, in one transaction."""
        marks = ",".join("?" * columns)
        with self.write() as db:
            db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608 our own names

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read."""
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise self._fault("reading", error) from error

    def _fault(self, doing: str, error: sqlite3.Error) -> LedgerError:
        # Of the others (locked, full, read-only) SQLite makes OperationalErrors.
        if type(error) is sqlite3.DatabaseError:
            return damaged_ledger(self.path, str(error))
        return LedgerError(f"{doing} the ledger {self.path} failed: {error}")

    def _migrate(self) -> None:
        with self.write() as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found > len(MIGRATIONS):
                raise LedgerError(
                    f"the ledger {self.path} has version {found}, this program knows up to "
                    f"{len(MIGRATIONS)}. Upgrade it, or use another home folder."
                )
            for number, statements in enumerate(MIGRATIONS[found:], start=found + 1):
                for statement in statements:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
