"""The labelled frames of finished jobs: their images brought home, their objects read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cvat_bridge.cvat.gateway import Gateway, JobAnnotations, Media
from cvat_bridge.frames.job_cache import JobCache
from cvat_bridge.frames.originals import ImageStore, ahead, read_originals
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, frame_key
from cvat_bridge.progress import Report
from cvat_bridge.project.facts import Facts, LabelledJob
from cvat_bridge.shapes.convert import LabelledObject, shapes_of_job

_PIECE = 64  # images whose facts are recorded at a time
_NAMED = 8  # frames that a message names


@dataclass(frozen=True)
class Skipped:
    """Something left out of the snapshot: a frame ("task/frame"), label or object, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class LabelledFrame:
    """A labelled frame: its image, objects and job."""

    image: FrameFacts
    objects: tuple[LabelledObject, ...]
    job: LabelledJob


def fetch_images(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    jobs: list[LabelledJob],
    images: ImageStore,
    report: Report,
) -> int:
    """Bring every image home that is not; return how many came."""
    known = ledger.frames_of(frame_key(job.task_id, n) for job in jobs for n in job.frames)
    absent: dict[int, list[int]] = {}
    for job in jobs:
        for frame in job.frames:
            row = known.get(frame_key(job.task_id, frame))
            settled = row is not None and row.sha256 and (row.problem or images.holds(row))
            if not settled:
                absent.setdefault(job.task_id, []).append(frame)
    total, done = sum(len(numbers) for numbers in absent.values()), 0
    rows: list[FrameFacts] = []
    for task_id, numbers in absent.items():
        for _, original in ahead(
            read_originals(gateway, facts.media[task_id], numbers), depth=_PIECE
        ):
            if original.pixels is not None:
                images.put(original)
            rows.append(original.facts)
            done += 1
            if len(rows) >= _PIECE:
                ledger.add_frames(rows)
                rows = []
            report("pull images", done, total)
        ledger.add_frames(rows)
        rows = []
    return done


def read_objects(
    gateway: Gateway, facts: Facts, jobs: list[LabelledJob], cache: JobCache, report: Report
) -> tuple[dict[str, tuple[LabelledObject, ...]], int, list[Skipped]]:
    """Return the objects of every frame by key, how many jobs were read, what was left out."""
    objects: dict[str, tuple[LabelledObject, ...]] = {}
    skipped: list[Skipped] = []
    read = 0
    giver = {(job.task_id, frame): job for job in jobs for frame in job.frames}
    for done, job in enumerate(jobs, 1):
        read += cache.held(job.job_id, job.updated_date) is None
        held, elsewhere = _own(
            cache.read(gateway, job.job_id, job.updated_date), job, giver, facts.reserved
        )
        skipped += elsewhere
        found = shapes_of_job(
            held,
            labels=facts.labels,
            media=media_of_job(facts.media[job.task_id], job.frames),
            frames=job.frames,
        )
        for number, rows in found.by_frame.items():
            objects[frame_key(job.task_id, number)] = rows
        skipped += [
            Skipped(f"job {job.job_id}: {row.count} {row.kind}", row.reason)
            for row in found.left_out
        ]
        tags = sum(one.box is None for rows in found.by_frame.values() for one in rows)
        if tags:
            skipped.append(Skipped(f"job {job.job_id}: {tags} tag", "a tag has no place"))
        report("pull annotations", done, len(jobs))
    return objects, read, skipped


def _own(
    held: JobAnnotations,
    job: LabelledJob,
    giver: Mapping[tuple[int, int], LabelledJob],
    reserved: frozenset[str],
) -> tuple[JobAnnotations, list[Skipped]]:
    """Take out the objects on frames that another job gives, and say which those frames are.

    giver: the job that gives a frame. reserved: keys of frames that a ground-truth job holds,
    finished or not: nothing is learnt from them, whoever drew there.
    """
    moved: Counter[int] = Counter()
    overlapping: dict[int, Counter[int]] = {}
    for one in (*held.shapes, *held.tags):
        frame = int(one["frame"])
        other = giver.get((job.task_id, frame))
        if other is job or job.held_out:
            continue
        if frame_key(job.task_id, frame) in reserved:
            moved[frame] += 1
        elif other is not None:
            overlapping.setdefault(other.job_id, Counter())[frame] += 1
    notes = []
    if moved:
        notes.append(
            Skipped(
                f"job {job.job_id}: {_where(moved)}",
                "the task's ground-truth job holds these frames now: they judge models, and "
                "nothing is learnt from them",
            )
        )
    notes += [
        Skipped(
            f"job {job.job_id}: {_where(counts)}",
            f"job {other} overlaps there, and its labels are taken",
        )
        for other, counts in sorted(overlapping.items())
    ]
    gone = set(moved).union(*overlapping.values())
    kept = {
        name: tuple(one for one in getattr(held, name) if int(one["frame"]) not in gone)
        for name in ("shapes", "tags")
    }
    return replace(held, **kept), notes


def _where(objects: Counter[int]) -> str:
    """Return how many objects lie on which frames. objects: how many on each frame."""
    first = ", ".join(str(number) for number in sorted(objects)[:_NAMED])
    more = f" and {len(objects) - _NAMED} more" if len(objects) > _NAMED else ""
    total = objects.total()
    return f"{total} object{'s' * (total != 1)} on frame{'s' * (len(objects) > 1)} {first}{more}"


def one_an_image(frames: list[LabelledFrame]) -> tuple[dict[str, LabelledFrame], list[Skipped]]:
    """Keep one frame of each image: the holdout's, else the one labelled last."""
    best: dict[str, LabelledFrame] = {}
    for frame in sorted(frames, key=lambda f: (f.job.held_out, f.job.updated_date, f.image.key)):
        best[frame.image.sha256] = frame
    skipped = [
        Skipped(f.image.key, f"the same image as {best[f.image.sha256].image.key}, labelled later")
        for f in frames
        if best[f.image.sha256] is not f
    ]
    return dict(sorted(best.items())), skipped


def media_of_job(media: Media, frames: Sequence[int]) -> Media:
    """Return the media from the first to the last of these frames, so that tracks end with them."""
    first, last = min(frames), max(frames)
    return replace(
        media, frames=tuple(frame for frame in media.frames if first <= frame.number <= last)
    )
