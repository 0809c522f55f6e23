"""Files that may be anybody's: their hashes, and their JSON and YAML."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

_TOO_DEEP = "nested too deep"


def check_plain(path: Path) -> None:
    """Raise OSError for a FIFO or a device: reading one may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a plain file (a FIFO, a socket or a device)", str(path))


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def parse_json(content: str | bytes) -> Any:
    """Return the value of a JSON text; json.JSONDecodeError also where it is nested too deep."""
    try:
        return json.loads(content)
    except RecursionError:
        raise json.JSONDecodeError(_TOO_DEEP, "", 0) from None


def parse_yaml(content: str) -> Any:
    """Return the value of a YAML text; yaml.YAMLError also where it is nested too deep."""
    try:
        return yaml.safe_load(content)
    except RecursionError:
        raise yaml.YAMLError(_TOO_DEEP) from None
