"""The media of tasks, kept until the task changes: else each look costs one request a task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import structlog

from cvat_bridge.cvat.gateway import Frame, Media, Task
from trainer.data.files import parse_json

log = structlog.get_logger("project")

_FORM = 1  # of the files; one of another form is read from CVAT again


class MediaCache:
    """Media by task. folder: where it outlives the process, None for nowhere.

    Every change of a task's media moves the task's date (deleting frames as well), so an entry is
    good for one date. A file that cannot be read, or written, costs a request and nothing else.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: dict[int, tuple[str, Media]] = {}

    def of(self, task: Task, fetch: Callable[[int], Media]) -> Media:
        """Return the media of a task as it was listed; raises what `fetch` raises."""
        held = self._held.get(task.id) or self._stored(task.id)
        if held is None or held[0] != task.updated_date:
            held = task.updated_date, fetch(task.id)
            self._store(*held)
        self._held[task.id] = held
        return held[1]

    def keep_only(self, task_ids: Collection[int]) -> None:
        """Forget the tasks that the project no longer has."""
        for task_id in set(self._held) - set(task_ids):
            del self._held[task_id]
        if self._folder is not None:
            kept = {self._path(self._folder, task_id) for task_id in task_ids}
            for path in set(self._folder.glob("*.json")) - kept:
                path.unlink(missing_ok=True)

    @staticmethod
    def _path(folder: Path, task_id: int) -> Path:
        return folder / f"{task_id}.json"

    def _stored(self, task_id: int) -> tuple[str, Media] | None:
        if self._folder is None:
            return None
        try:
            row = parse_json(self._path(self._folder, task_id).read_bytes())
            if row["form"] != _FORM or row["media"]["task_id"] != task_id:
                return None
            return str(row["updated_date"]), _media(row["media"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _store(self, updated_date: str, media: Media) -> None:
        if self._folder is None:
            return
        values = dataclasses.asdict(media)
        values["frames"] = [[f.number, f.name, f.width, f.height] for f in media.frames]
        values["deleted"] = sorted(media.deleted)
        values["included"] = None if media.included is None else sorted(media.included)
        path = self._path(self._folder, media.task_id)
        part = path.with_suffix(".part")
        row = {"form": _FORM, "updated_date": updated_date, "media": values}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(row), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            log.warning("the list of a task's frames is not kept", path=str(path), error=str(error))


def _media(values: dict[str, Any]) -> Media:
    frames = tuple(Frame(int(n), str(s), int(w), int(h)) for n, s, w, h in values["frames"])
    included = values["included"]
    return Media(
        **{
            **values,
            "frames": frames,
            "deleted": frozenset(map(int, values["deleted"])),
            "included": None if included is None else frozenset(map(int, included)),
        }
    )
