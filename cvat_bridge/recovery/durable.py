"""The rounds as DBOS recorded them, read without starting DBOS, which would go on with them.

The database is rounds.db in the home, unless the configuration names another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cvat_bridge.database.damage import damage_of
from cvat_bridge.errors import RecordsError


@dataclass(frozen=True)
class DurableRound:
    """A round of DBOS's records; its newest attempt where it was tried again.

    done: it has a good end. answers: what its finished steps answered, by step. began, ended: ISO
    8601, ended "" while it has no good end.
    """

    number: int
    done: bool
    answers: Mapping[str, Mapping[str, Any]]
    began: str
    ended: str


def check_readable(database_url: str) -> None:
    """Raise RecordsError when the records cannot be read."""
    with _opened(database_url):
        pass


def read_rounds(database_url: str, name: str) -> tuple[DurableRound, ...]:
    """Read every recorded round, by rising number; none where there is no record yet.

    name: of the rounds of a project, see workflow.rounds_name.
    Raises RecordsError when the records cannot be read.
    """
    with _opened(database_url) as client:
        if client is None:
            return ()
        newest: dict[int, Any] = {}
        for attempt in client.list_workflows(name=name, sort_desc=True):
            newest.setdefault(_number(attempt), attempt)
        return tuple(
            _round(number, attempt, client.list_workflow_steps(attempt.workflow_id))
            for number, attempt in sorted(newest.items())
        )


def forget_rounds(database_url: str, name: str, numbers: Sequence[int]) -> None:
    """Delete every record of these rounds, so that nothing goes on with them. RecordsError."""
    with _opened(database_url) as client:
        if client is None:
            return
        for attempt in client.list_workflows(name=name):
            if _number(attempt) in numbers:
                client.delete_workflow(attempt.workflow_id)


def database_file(database_url: str) -> Path | None:
    """Return the file of an SQLite database; None for one on a server."""
    url = make_url(database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


@contextmanager
def _opened(database_url: str) -> Iterator[DBOSClient | None]:
    """Give a client, or None where DBOS has yet to make its file. RecordsError."""
    file = database_file(database_url)
    if file is not None:
        if damage := damage_of(file):
            raise _unreadable(database_url, damage)
        if not file.exists() or not file.stat().st_size:
            yield None
            return
    client = None
    try:
        DBOS.migrate(database_url)  # as its start does, for records of an earlier version
        client = DBOSClient(system_database_url=database_url)
        yield client
    except SQLAlchemyError as error:
        # The first line names the fault; the others are the query.
        fault = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise _unreadable(database_url, fault) from error
    finally:
        if client is not None:
            client.destroy()


def _unreadable(database_url: str, fault: str) -> RecordsError:
    file = database_file(database_url)
    advice = (
        "`cvat-bridge restore` sets the file aside and goes on from the ledger"
        if file is not None
        else "Is that the database of this bridge, and does it answer?"
    )
    where = file or make_url(database_url).render_as_string(hide_password=True)
    return RecordsError([f"the records of rounds in {where} cannot be read: {fault}"], advice)


def _round(number: int, attempt: Any, steps: Sequence[Any]) -> DurableRound:
    done = attempt.status == "SUCCESS"
    answers = {
        step["function_name"]: step["output"]
        for step in steps
        if step["error"] is None and isinstance(step["output"], dict)
    }
    ended = _iso(attempt.updated_at) if done else ""
    return DurableRound(number, done, answers, _iso(attempt.created_at), ended)


def _iso(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(attempt: Any) -> int:
    return int(attempt.input["args"][0])
