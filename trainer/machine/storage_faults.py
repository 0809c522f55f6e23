"""Recognise storage errors in one place and explain them in a sentence.

Python raises an OSError, SQLite its own error that only the text identifies, and libraries wrap
either in theirs; the whole chain of causes is searched.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

_MENDS = {
    errno.ENOSPC: "free space on that disk, or move the folder to a larger one",
    errno.EDQUOT: "this user's share of the disk is used up: free some, or have it raised",
    errno.EFBIG: "files may not grow so large here: raise the limit (ulimit -f)",
    errno.EROFS: "the disk is mounted read-only: mount it for writing, or use another folder",
    errno.EACCES: "let this user read and write it, or use another folder",
    errno.EPERM: "let this user read and write it, or use another folder",
    errno.ENOENT: "make the folder, or correct the path",
    errno.ENOTDIR: "a part of the path is a file: move it away, or correct the path",
    errno.EISDIR: "a folder stands where a file is expected: correct the path",
    errno.EEXIST: "a file stands where a folder is expected: move it away, or correct the path",
    errno.ENAMETOOLONG: "shorten the path",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.EIO: "the disk does not respond: check the system log",
    errno.ESTALE: "the network share is gone: mount it again",
}
_SQLITE = {
    "disk is full": _MENDS[errno.ENOSPC],
    "readonly database": _MENDS[errno.EACCES],
    "unable to open database file": "the folder must be there, and this user must be able to write",
    "disk i/o error": "the disk is full, gone or read-only: free space or mount it again",
    "database is locked": "another process is using it: stop that one, or wait until it is done",
    "malformed": "the file is damaged: restore it from a backup",
    "not a database": "the file is damaged or not a database: restore it from a backup",
}


def storage_fault(error: BaseException) -> str | None:
    """Return what failed, where, and how to fix it; None for any other kind of error."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in _MENDS:
            places = [str(p) for p in (one.filename, one.filename2) if p is not None]
            where = f"{' -> '.join(places)}: " if places else ""
            return f"{where}{one.strerror or one}; {_MENDS[one.errno]}"
        if isinstance(one, sqlite3.Error):
            text = str(one)
            for known, remedy in _SQLITE.items():
                if known in text.lower():
                    return f"SQLite: {text}; {remedy}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        original = getattr(one, "orig", None)  # SQLAlchemy's
        if isinstance(original, BaseException) and id(original) not in seen:
            yield original
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
