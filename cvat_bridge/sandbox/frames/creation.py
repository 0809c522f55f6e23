"""From uploaded or server files to a task's frames and jobs (the work behind a 202)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox.frames import honeypots, media, validation
from cvat_bridge.sandbox.frames.honeypots import Allocation
from cvat_bridge.sandbox.frames.requests import RequestError
from cvat_bridge.sandbox.frames.sources import Source, from_client, from_server, ordered
from cvat_bridge.sandbox.resources import jobs, records
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web.call import Call


def _chosen(count: int, settings: dict[str, Any]) -> range:
    step = int((settings.get("frame_filter") or "step=1").partition("=")[2] or 1)
    start = settings.get("start_frame") or 0
    stop = settings.get("stop_frame")
    last = count - 1 if stop is None else min(stop, count - 1)
    if start > last:
        raise RequestError("No frames are left after start_frame, stop_frame and frame_filter")
    return range(start, last + 1, step)


def _count_video(path: Path) -> tuple[int, int, int]:
    try:
        import av
    except ModuleNotFoundError as error:
        raise RequestError("videos need PyAV: pip install 'cvat-active-learning[video]'") from error
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            count = sum(1 for packet in container.demux(stream) if packet.size)
            return count, stream.width, stream.height
    except (av.FFmpegError, IndexError) as error:
        raise RequestError(f"{path.name} cannot be read as a video: {error}") from error


def _segments(
    size: int, task: Row, settings: dict[str, Any], *, video: bool
) -> tuple[list[tuple[int, int]], int]:
    """Return first and last frame of each job, and the overlap between them."""
    mapping = settings.get("job_file_mapping")
    if mapping:
        ends, start = [], 0
        for names in mapping:
            ends.append((start, start + len(names) - 1))
            start += len(names)
        return ends, 0
    length = task["segment_size"] or size
    if length >= size:
        return [(0, size - 1)], 0
    default = 5 if video else 0
    wanted = default if task["overlap"] is None else task["overlap"]
    overlap = min(wanted, length // 2)
    starts = range(0, size - overlap, length - overlap)
    return [(start, min(start + length, size) - 1) for start in starts], overlap


def _check(task: Row, settings: dict[str, Any]) -> None:
    """Refuse settings that do not go together."""
    if settings.get("image_quality") is None:
        raise RequestError("The 'image_quality' parameter is required")
    if honeypots.wanted(settings):
        honeypots.check(settings)
    if not settings.get("job_file_mapping"):
        return
    names = (
        "start_frame",
        "stop_frame",
        "frame_filter",
        "filename_pattern",
        "server_files_exclude",
    )
    against = [name for name in names if settings.get(name)]
    if settings.get("sorting_method", "lexicographical") not in {"lexicographical", "predefined"}:
        against.append("sorting_method")
    if task["segment_size"]:
        against.append("segment_size")
    if against:
        raise RequestError(f"job_file_mapping can't be used with {', '.join(against)}")


def attach(call: Call, task_id: int, data_id: int, settings: dict[str, Any]) -> None:
    """Fill a task's data and make its jobs; RequestError says why it cannot be done."""
    task = call.db.get("task", task_id)
    if task is None:
        raise RequestError("The task was deleted")
    _check(task, settings)
    server = settings.get("server_files") or []
    if server:
        root, what = Path(settings["root"]), settings["storage"]
        sources = from_server(root, server, what="share" if what == "share" else "bucket")
        excluded = tuple(settings.get("server_files_exclude") or ())
        folders = tuple(name for name in excluded if name.endswith("/"))
        sources = [
            source
            for source in sources
            if source.name not in excluded and not source.name.startswith(folders)
        ]
    else:
        sources = from_client(call, task_id, data_id)
    videos = [source for source in sources if source.path.suffix.lower() in media.VIDEOS]
    images = [source for source in sources if source.path.suffix.lower() in media.IMAGES]
    if not videos and not images:
        raise RequestError("No media data found")
    if videos and (images or len(videos) > 1):
        raise RequestError("Only one video or several images are supported in a task")
    columns = _video(videos[0], settings) if videos else None
    rows: list[tuple[Any, ...]] = []
    hidden: Allocation | None = None
    if honeypots.wanted(settings):
        if videos:
            raise RequestError("validation mode 'gt_pool' can only be used with 'annotation' mode")
        hidden = honeypots.allocate(images, task, settings)
    if columns is None:
        sources = ordered(images, settings) if hidden is None else hidden.sources
        rows, columns = _images(sources, data_id, settings)
    with call.db.transaction():
        call.db.many("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?)", rows)
        call.db.update("data", data_id, chunks_updated_date=now(), **columns)
        _finish(call, task, data_id, settings, hidden, video=bool(videos))


def _video(source: Source, settings: dict[str, Any]) -> dict[str, Any]:
    count, width, height = _count_video(source.path)
    chosen = _chosen(count, settings)
    return {
        "size": len(chosen),
        "start_frame": chosen[0],
        "stop_frame": chosen[-1],
        "video": str(source.path),
        "original_type": "video",
        "video_name": json.dumps({"name": source.name, "width": width, "height": height}),
        "compressed_type": "imageset" if settings.get("use_zip_chunks") else "video",
        "chunk_size": settings.get("chunk_size")
        or (_chunk_size(width, height) if settings.get("use_zip_chunks") else 36),
    }


def _chunk_size(width: int, height: int) -> int:
    return max(2, min(72, 36 * 1920 * 1080 // (width * height)))


def _images(
    sources: list[Source], data_id: int, settings: dict[str, Any]
) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    chosen = _chosen(len(sources), settings)
    rows: list[tuple[Any, ...]] = []
    for number, position in enumerate(chosen):
        source = sources[position]
        try:
            width, height = media.size_of(source.path)
        except OSError as error:
            raise RequestError(f"{source.name} cannot be read as an image: {error}") from error
        rows.append((data_id, number, source.name, width, height, str(source.path)))
    return rows, {
        "size": len(rows),
        "start_frame": chosen[0],
        "stop_frame": chosen[-1],
        "original_type": "imageset",
        "compressed_type": "imageset",
        "chunk_size": settings.get("chunk_size") or _chunk_size(*rows[0][3:5]),
    }


def _finish(
    call: Call,
    task: Row,
    data_id: int,
    settings: dict[str, Any],
    hidden: Allocation | None,
    *,
    video: bool,
) -> None:
    data = call.db.get("data", data_id) or {}
    if hidden is None:
        ranges, overlap = _segments(data["size"], task, settings, video=video)
    else:
        ranges, overlap = hidden.ranges, 0
    replicas, mapped = task["consensus_replicas"], bool(settings.get("job_file_mapping"))
    for start, stop in ranges:
        parent = jobs.add(call, task["id"], "annotation", start, stop)
        for _ in range(replicas):
            jobs.add(call, task["id"], "consensus_replica", start, stop, parent_job_id=parent)
    if hidden is None:
        validation.attach(call, task, data, settings.get("validation_params"))
    else:
        validation.attach_pool(call, task, data, *hidden.truth)
    records.change(
        call,
        "task",
        task["id"],
        overlap=overlap,
        dimension="2d",
        mode="interpolation" if video else "annotation",
        media_type="image",
        segment_size=task["segment_size"] or (0 if mapped else data["size"]),
        updated_date=now(),
    )
    if task["project_id"] is not None:
        records.change(call, "project", task["project_id"], updated_date=now())
