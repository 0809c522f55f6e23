"""The small files of a run's folder: JSON written atomically, and the lock."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.data.files import parse_json
from trainer.errors import ConfigError


def is_running(out: Path) -> bool:
    """Return whether a process is training in the folder."""
    path = out / "lock"
    if not path.exists():
        return False
    with path.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_json(path: Path) -> Any:
    """Return a file's JSON, None when there is no file; ConfigError when it is not JSON."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError([f"{path} is not JSON: {error}"]) from error


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1), encoding="utf-8")
    part.replace(path)
