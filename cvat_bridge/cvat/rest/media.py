"""The frames of a task or job: how many, how large, where their files lie, which are deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from cvat_bridge.cvat.gateway import Frame, Job, Media
from cvat_bridge.cvat.rest import raw
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.errors import GatewayError, NotReadyError


@dataclass(frozen=True)
class Source:
    """What else data/meta says of a task's source.

    start, step: how source frame numbers, which only data/meta speaks, become numbers in the task.
    chunks_date: when its chunks last changed.
    """

    start: int
    step: int
    chunks_date: str

    def relative(self, source_number: int) -> int:
        """Return the number in the task."""
        return (source_number - self.start) // self.step


def read_job(net: Connection, job_id: int) -> Media:
    """Read the frames that one job really holds, numbered as in its task."""
    job = raw.job(net.get(f"/api/jobs/{job_id}", f"job {job_id}"))
    media, source = read_task(net, job.task_id)
    if job.type != "ground_truth":
        held = frozenset(range(job.start_frame, job.stop_frame + 1))
        return _only(media, held)
    return _ground_truth(net, job, media, source)


def _ground_truth(net: Connection, job: Job, media: Media, source: Source) -> Media:
    # The list of a ground-truth job holds placeholders for the frames it skips, and the frames
    # that validation switched off count as deleted in it alone.
    meta = _meta(net, f"/api/jobs/{job.id}/data/meta", f"frames of job {job.id}")
    included = frozenset(source.relative(int(n)) for n in meta.get("included_frames") or ())
    if not included:
        included = frozenset(range(job.start_frame, job.stop_frame + 1))
    deleted = media.deleted | {int(n) for n in meta.get("deleted_frames") or ()}
    return replace(_only(replace(media, deleted=deleted), included), included=included)


def _only(media: Media, held: frozenset[int]) -> Media:
    frames = tuple(frame for frame in media.frames if frame.number in held)
    return replace(media, frames=frames, deleted=media.deleted & held)


def _meta(net: Connection, path: str, subject: str) -> Mapping[str, Any]:
    try:
        meta: Mapping[str, Any] = net.get(path, subject)
    except GatewayError as error:
        if error.status == 400 and "not uploaded" in error.detail:
            raise NotReadyError(f"{subject}: no data is attached yet") from error
        raise
    return meta


def read_task(net: Connection, task_id: int) -> tuple[Media, Source]:
    """Read the media of a task; NotReadyError while no data is attached."""
    subject = f"frames of task {task_id}"
    meta = _meta(net, f"/api/tasks/{task_id}/data/meta", subject)
    size, rows = int(meta["size"]), meta["frames"]
    step = re.search(r"step\s*=\s*(\d+)", str(meta.get("frame_filter") or ""))
    source = Source(
        start=int(meta.get("start_frame") or 0),
        step=int(step[1]) if step else 1,
        chunks_date=str(meta.get("chunks_updated_date") or ""),
    )
    is_video = len(rows) == 1 and not _is_image(net, task_id, size)
    if not is_video and len(rows) != size:
        raise GatewayError(
            "read", subject, 200, f"data/meta tells of {size} frames and lists {len(rows)}"
        )
    if is_video:
        stem = PurePosixPath(rows[0]["name"]).stem
        width, height = int(rows[0]["width"]), int(rows[0]["height"])
        frames = tuple(Frame(n, f"{stem}_{n:06d}.png", width, height) for n in range(size))
    else:
        frames = tuple(
            Frame(n, str(row["name"]), int(row["width"]), int(row["height"]))
            for n, row in enumerate(rows)
        )
    media = Media(
        task_id=task_id,
        frames=frames,
        deleted=frozenset(int(n) for n in meta.get("deleted_frames") or ()),
        storage=meta.get("storage") or "local",
        cloud_storage_id=meta.get("cloud_storage_id"),
        is_video=is_video,
        chunk_size=int(meta["chunk_size"]),
    )
    return media, source


def _is_image(net: Connection, task_id: int, size: int) -> bool:
    # One entry for several frames is a video; for one frame only the task's mode tells.
    if size > 1:
        return False
    return raw.task(net.get(f"/api/tasks/{task_id}", f"task {task_id}")).mode == "annotation"
