"""The files a task is made of, where they lie and in what order."""

from __future__ import annotations

import random
import re
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox.frames.requests import RequestError
from cvat_bridge.sandbox.web.call import Call


@dataclass(frozen=True)
class Source:
    """A file a task is made of: the name CVAT will show, and where it lies."""

    name: str
    path: Path


def _listed(folder: Path) -> list[Source]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        Source(path.relative_to(folder).as_posix(), path)
        for path in files
        if not path.name.startswith(".")
    ]


def from_client(call: Call, task_id: int, data_id: int) -> list[Source]:
    """Move the uploads into the task's own folder, unpacking archives."""
    inbox = call.state.path("uploads", f"task-{task_id}")
    raw = call.state.path("data", str(data_id), "raw")
    for source in _listed(inbox):
        target = raw / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.path.suffix.lower() == ".zip":
            _unpack(source.path, raw)
        else:
            shutil.move(source.path, target)
    shutil.rmtree(inbox, ignore_errors=True)
    return _listed(raw)


def _unpack(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(target)
    except zipfile.BadZipFile as error:
        raise RequestError(f"{archive.name} is not a zip file") from error


def from_server(root: Path, names: Sequence[str], *, what: str) -> list[Source]:
    """Return the files of a share or bucket; folders stand for all that is in them."""
    found: list[Source] = []
    for name in names:
        path = root / name
        if path.is_dir():
            found += [Source(f"{name.rstrip('/')}/{s.name}", s.path) for s in _listed(path)]
        elif path.is_file():
            found.append(Source(name, path))
        else:
            raise RequestError(f"No such file or directory in the {what}: {name}")
    return found


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def ordered(sources: list[Source], settings: dict[str, Any]) -> list[Source]:
    """Return the files in the order that becomes the frames' order."""
    mapping = settings.get("job_file_mapping")
    order = [name for job in mapping for name in job] if mapping else None
    method = settings.get("sorting_method", "lexicographical")
    if order is None and method == "predefined":
        order = settings.get("upload_file_order") or settings.get("arrival")
    if order:
        by_name = {source.name: source for source in sources}
        missing = [name for name in order if name not in by_name]
        if missing:
            raise RequestError(f"Files in the mapping but not in the task: {', '.join(missing)}")
        return [by_name[name] for name in order]
    if method == "random":
        shuffled = list(sources)
        random.shuffle(shuffled)
        return shuffled
    if method == "predefined":
        return list(sources)
    key = _natural if method == "natural" else str
    return sorted(sources, key=lambda source: key(source.name))
