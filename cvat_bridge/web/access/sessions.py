"""Sessions of the page: a random number in a cookie, everything else in a file of the home.

The file is of no use without the cookie: it holds the number's hash, and the credentials are
encrypted with a key made of the number. So a restart signs nobody out, and a copy of the file
signs nobody in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from cvat_bridge.cvat.person import Credentials, Person
from cvat_bridge.errors import LedgerError

_LONGEST = 7 * 24 * 3600.0  # seconds: after a week one signs in again, however busy
_TOUCH = 60.0  # seconds between two notes that a session is in use
_TABLE = """CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, content BLOB NOT NULL, begun REAL NOT NULL, used REAL NOT NULL)"""


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in. secret: what the cookie holds. token: what their forms send.

    ours: the page opened the session in CVAT, so it ends it too. cookie_of: hash of the CVAT
    cookie by which the person was known, "" for the other ways.
    """

    secret: str
    token: str
    person: Person
    credentials: Credentials
    ours: bool
    cookie_of: str = ""


class Sessions:
    """The sessions in a file; safe to use from several threads. clock: seconds since the epoch."""

    def __init__(self, path: Path, *, idle_seconds: float, clock: Callable[[], float]) -> None:
        self._idle, self._clock, self._lock = idle_seconds, clock, threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            self._db = sqlite3.connect(
                path, timeout=10, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(_TABLE)
        except sqlite3.Error as error:
            raise LedgerError(
                f"the sessions {path} cannot be opened: {error}. The file can be deleted: people "
                "sign in again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def begin(
        self, person: Person, credentials: Credentials, *, ours: bool = False, cookie_of: str = ""
    ) -> Session:
        """Open a session; the ones that are over are forgotten."""
        session = Session(
            secrets.token_urlsafe(32),
            secrets.token_urlsafe(32),
            person,
            credentials,
            ours,
            cookie_of,
        )
        now = self._clock()
        content = _key(session.secret).encrypt(json.dumps(_plain(session)).encode())
        with self._lock:
            self._db.execute(
                "DELETE FROM sessions WHERE used < ? OR begun < ?",
                (now - self._idle, now - _LONGEST),
            )
            self._db.execute(
                "INSERT INTO sessions VALUES (?,?,?,?)", (_name(session.secret), content, now, now)
            )
        return session

    def find(self, secret: str) -> Session | None:
        """Return the session of a cookie; None for one that is unknown, over or ended."""
        if not secret:
            return None
        now, name = self._clock(), _name(secret)
        with self._lock:
            row = self._db.execute(
                "SELECT content, begun, used FROM sessions WHERE id = ?", (name,)
            ).fetchone()
            if row is None:
                return None
            content, begun, used = row
            if used < now - self._idle or begun < now - _LONGEST:
                self.end(secret)
                return None
            if now - used > _TOUCH:
                self._db.execute("UPDATE sessions SET used = ? WHERE id = ?", (now, name))
        try:
            held = json.loads(_key(secret).decrypt(content))
        except InvalidToken:
            return None
        return Session(
            secret,
            held["token"],
            Person(**held["person"]),
            Credentials(**held["credentials"]),
            held["ours"],
            held["cookie_of"],
        )

    def end(self, secret: str) -> None:
        """Forget a session."""
        with self._lock:
            self._db.execute("DELETE FROM sessions WHERE id = ?", (_name(secret),))


def _name(secret: str) -> str:
    return hashlib.sha256(b"name:" + secret.encode()).hexdigest()


def _key(secret: str) -> Fernet:
    digest = hashlib.sha256(b"key:" + secret.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def _plain(session: Session) -> dict[str, Any]:
    return {
        "token": session.token,
        "person": asdict(session.person),
        "credentials": asdict(session.credentials),
        "ours": session.ours,
        "cookie_of": session.cookie_of,
    }
