"""Where a frame comes from in the end, and which frames must stay on one side with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cvat_bridge.cvat.gateway import Media
from cvat_bridge.frames.holdout import LabelledImage, groups_of
from cvat_bridge.ledger.records import FrameFacts, Provenance, frame_key, split_key


def origins(provenance: Iterable[Provenance]) -> dict[str, str]:
    """Return the key of the first source of every copy, by the copy's key."""
    direct = {
        frame_key(row.task_id, row.frame): frame_key(row.source_task, row.source_frame)
        for row in provenance
    }
    return {copy: _end(copy, direct) for copy in direct}


def video_part(
    key: str, *, media: Mapping[int, Media], origin: Mapping[str, str], segment: int
) -> str:
    """Name the part of a video that a frame (or its source) lies in; "" for a still image."""
    task_id, frame = split_key(origin.get(key, key))
    source = media.get(task_id)
    if source is None or not source.is_video:
        return ""
    return f"video {task_id}" + (f" part {frame // segment}" if segment else "")


def image_groups(
    frames: Iterable[FrameFacts],
    *,
    media: Mapping[int, Media],
    origin: Mapping[str, str],
    segment: int,
    within: int,
) -> dict[str, str]:
    """Return the group of every good image, by sha256; see holdout.groups_of."""
    images = {
        row.sha256: LabelledImage(
            row.sha256,
            row.perceptual,
            video_part(row.key, media=media, origin=origin, segment=segment),
        )
        for row in sorted(frames, key=lambda one: one.key)
        if not row.problem
    }
    return groups_of(tuple(images.values()), within=within)


def _end(key: str, direct: Mapping[str, str]) -> str:
    seen = {key}
    while key in direct and direct[key] not in seen:
        key = direct[key]
        seen.add(key)
    return key
