"""Whether an SQLite file can be read from end to end, and how one that cannot is set aside."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

_COMPANIONS = ("-wal", "-shm", "-journal")


def damage_of(path: Path, *, deep: bool = True) -> str:
    """Return what is wrong with an SQLite file; "" for a whole one, an empty one and none.

    deep: read all of it; otherwise only whether it is a database and as long as it says, which
    takes no time.
    """
    if not path.exists():
        return ""
    if not path.is_file():
        return "it is no file"
    try:
        # Not read-only: what a killed process left in its -wal file has to be taken in.
        db = sqlite3.connect(path, timeout=30)
        try:
            if not deep:
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                (size,) = db.execute("PRAGMA page_size").fetchone()
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
                short = path.stat().st_size % size != 0
                return f"it is cut off after {pages} pages" if short else ""
            rows = db.execute("PRAGMA quick_check(3)").fetchall()
        finally:
            db.close()
    except sqlite3.OperationalError:
        return ""  # locked, or not to be opened by us: whoever opens it tells
    except sqlite3.Error as error:
        return str(error)
    found = [str(row[0]).splitlines()[0] for row in rows]
    return "" if found == ["ok"] else "; ".join(found)


def set_aside(path: Path, why: str) -> Path:
    """Rename a file, and what SQLite keeps beside it, out of the way; return its new place.

    why: one word for its name, such as "damaged".
    """
    target = next(
        place
        for n in itertools.count(1)
        if not (place := path.with_name(f"{path.name}.{why}-{n}")).exists()
    )
    path.rename(target)
    for ending in _COMPANIONS:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(target.with_name(target.name + ending))
    return target
