"""How chosen frames become ranked jobs. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from cvat_bridge.cvat.gateway import Job, Media
from cvat_bridge.frames.originals import SUFFIXES
from cvat_bridge.ledger.records import RankedJob, SelectedFrame
from cvat_bridge.project.copies import copy_name
from cvat_bridge.project.facts import PoolFrame
from cvat_bridge.settings import JobList

_LAST = 1 << 31  # a rank behind all others
_LONGEST_NAME = 256  # characters that CVAT keeps


def cut(frames: Sequence[SelectedFrame], size: int) -> tuple[tuple[SelectedFrame, ...], ...]:
    """Cut the choice into jobs of `size` frames, best first."""
    return tuple(tuple(frames[start : start + size]) for start in range(0, len(frames), size))


def file_name(frame: SelectedFrame, media: Media) -> str:
    """Name the copy of a frame; see copies.copy_name."""
    own = source_name(frame, {frame.task_id: media})
    return copy_name(frame.rank, own, is_video=media.is_video)


def earlier_name(frame: SelectedFrame, media: Media) -> str:
    """Return the name that earlier versions gave: their tasks are found again by it."""
    suffix = PurePosixPath(media.frames[min(frame.frame, len(media.frames) - 1)].name).suffix
    suffix = suffix.lower() if suffix.lower() in SUFFIXES and not media.is_video else ".png"
    return f"{frame.rank:04d}_task{frame.task_id}_frame{frame.frame:06d}{suffix}"


def shared_storage(
    frames: Sequence[SelectedFrame], media: Mapping[int, Media]
) -> tuple[Literal["share", "cloud_storage"], int | None] | None:
    """Return which one storage holds all these frames as files; None when they must be copied.

    They must when any is local or of a video, when they lie in several storages, or when two of
    them are one file.
    """
    places = {(media[f.task_id].storage, media[f.task_id].cloud_storage_id) for f in frames}
    if len(places) != 1 or any(media[frame.task_id].is_video for frame in frames):
        return None
    ((storage, cloud_id),) = places
    if storage == "local" or len({source_name(f, media) for f in frames}) != len(frames):
        return None
    return storage, cloud_id if storage == "cloud_storage" else None


def source_name(frame: SelectedFrame, media: Mapping[int, Media]) -> str:
    """Return the file of a frame in its storage."""
    return media[frame.task_id].frames[frame.frame].name


def task_name(number: int, frames: int, marker: str, job_list: JobList, asked: str = "") -> str:
    """Name a round's task so that people see what it is, and with which job to begin.

    asked: the name that a person gave, who asked for this task.
    """
    if asked:
        return f"{asked[: _LONGEST_NAME - len(marker) - 1]} {marker}"
    first = "the top job" if job_list == "newest_first" else "the lowest job number"
    return f"Round {number}: {frames} frames, begin with {first} {marker}"


def rank_new(jobs: Sequence[Job], chosen: Mapping[int, SelectedFrame]) -> tuple[RankedJob, ...]:
    """Rank the jobs of a round's task by their best frame. chosen: by frame of that task."""
    held = [
        (job, [(n, chosen[n]) for n in range(job.start_frame, job.stop_frame + 1) if n in chosen])
        for job in sorted(jobs, key=lambda one: one.id)
    ]
    held.sort(key=lambda pair: min((row.rank for _, row in pair[1]), default=_LAST))
    return tuple(_ranked(rank, job, rows) for rank, (job, rows) in enumerate(held, 1))


def rank_existing(
    frames: Sequence[SelectedFrame],
    pool: Sequence[PoolFrame],
    jobs: Mapping[int, Job],
    *,
    by: Literal["mean", "max"],
) -> tuple[RankedJob, ...]:
    """Rank the unopened jobs that hold chosen frames: all of them, so that none waits unseen.

    A chosen frame is worth 1 at the first rank, falling evenly to 1 / K at the last, and other
    frames of a job are worth nothing; a job is worth the mean or the best of its frames.
    """
    job_of = {frame.key: frame.job_id for frame in pool}
    size: dict[int, int] = defaultdict(int)
    for frame in pool:
        size[frame.job_id] += 1
    held: dict[int, list[SelectedFrame]] = defaultdict(list)
    for row in frames:
        if row.key in job_of:
            held[job_of[row.key]].append(row)

    def worth(job_id: int) -> float:
        values = [1 - (frame.rank - 1) / len(frames) for frame in held[job_id]]
        return max(values) if by == "max" else sum(values) / size[job_id]

    ranked: list[RankedJob] = []
    for job_id in sorted(held, key=lambda one: (-worth(one), one)):
        rows = sorted(held[job_id], key=lambda frame: frame.frame)
        ranked.append(_ranked(len(ranked) + 1, jobs[job_id], [(row.frame, row) for row in rows]))
    return tuple(ranked)


def _ranked(rank: int, job: Job, rows: Sequence[tuple[int, SelectedFrame]]) -> RankedJob:
    best = min((row for _, row in rows), key=lambda row: row.rank, default=None)
    ranks = sorted(row.rank for _, row in rows)
    reason = f"ranks {ranks[0]}-{ranks[-1]}: {best.reason}" if best is not None else ""
    return RankedJob(
        rank,
        job.id,
        job.task_id,
        tuple(number for number, _ in rows),
        tuple(row.score for _, row in rows),
        reason,
    )
