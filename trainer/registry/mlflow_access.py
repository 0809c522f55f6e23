"""Access to MLflow: without log noise or telemetry, and with clear errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trainer.errors import RegistryError

_DAMAGED = ("DatabaseError", "not a database", "malformed", "no such table", "no such column")
_HALF_MADE = "_alembic_tmp"  # a table of a store whose creation was interrupted


def quiet_mlflow() -> Any:
    """Import MLflow without log noise and telemetry."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # By default MLflow retries for four minutes before it reports an unreachable server.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def client_of(uri: str) -> Any:
    """Return MLflow's client of a server or database.

    A new SQLite file is created atomically: MLflow creates it in dozens of steps, and a process
    killed in between would leave a file that cannot be opened.
    """
    client = quiet_mlflow().MlflowClient
    scheme, _, place = uri.partition(":///")
    if scheme == "sqlite" and place and not Path(place).exists():
        _make_whole(client, Path(place))
    return client(uri, uri)


def _make_whole(client: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    half = f"sqlite:///{part}"
    client(half, half).search_experiments(max_results=1)
    with suppress(FileExistsError):  # another process was faster
        path.hardlink_to(part)
    part.unlink()


def pages(search: Callable[..., Any], condition: str | None) -> Iterator[Any]:
    """Yield the rows of all pages of a search."""
    token = None
    while True:
        page = search(condition, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def mlflow_errors(key: str, uri: str) -> Iterator[None]:
    """Turn MLflow's errors into RegistryError with reason and remedy."""
    # SQLAlchemy's errors reach us unwrapped while MLflow opens the database.
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (quiet_mlflow().MlflowException, SQLAlchemyError, OSError) as error:
        raise RegistryError(key, _reason(uri, error)) from error


def missing(error: Exception) -> bool:
    """Return whether MLflow reports that something does not exist, not that it could not look."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def _reason(uri: str, error: Exception) -> str:
    # SQLAlchemy appends the statement and a link; the first line is the reason.
    reason = f"{error}".partition("\n")[0]
    if any(word in f"{type(error).__name__} {error}" for word in (*_DAMAGED, _HALF_MADE)):
        return (
            f"the model registry {uri} is damaged: {reason}. Restore it from a backup, or move it "
            "away and `trainer register` the bundles again: they are intact"
        )
    return f"the model registry {uri} did not answer: {reason}"
