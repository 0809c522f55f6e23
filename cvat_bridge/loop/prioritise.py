"""The chosen frames become jobs in rank order: a new task, or an order of the jobs there are."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.cvat.gateway import Gateway, LocalFile, Media, NewTask
from cvat_bridge.errors import GatewayError, LedgerError, NothingToDoError, NotReadyError
from cvat_bridge.frames.originals import ImageStore, read_originals
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Provenance, RankedJob, SelectedFrame
from cvat_bridge.loop.ranking import (
    cut,
    earlier_name,
    file_name,
    rank_existing,
    rank_new,
    shared_storage,
    source_name,
    task_name,
)
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import Facts
from cvat_bridge.project.markers import round_marker
from cvat_bridge.settings import RoundSettings


@dataclass(frozen=True)
class Prioritised:
    """What people get. task_id: the round's task, None in mode rank_existing.

    storage: where the frames of the task lie: "cloud_storage" or "share" (nothing was copied),
    "local" (downloaded and uploaded again), or "none" without a task.
    """

    task_id: int | None
    jobs: tuple[RankedJob, ...]
    storage: str


def prioritise(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    number: int,
    home: Home,
    settings: RoundSettings,
    report: Report = quiet,
) -> Prioritised:
    """Make the jobs of round `number` from the frames that it chose (ledger.selection).

    Nothing is assigned yet. Chosen frames that people have taken since are left out. Frames that
    lie in one cloud storage or on the share are used where they are; all others, and any mixture,
    are downloaded and uploaded. Calling it again finds what it made. Raises NothingToDoError when
    no chosen frame is left, GatewayError, NotReadyError, LedgerError.
    """
    selection = ledger.selection(number)
    if not selection:
        raise NothingToDoError(f"round {number} has chosen no frame")
    if settings.mode == "rank_existing":
        return _rank_existing(gateway, ledger, facts, selection, number, settings)
    marker = round_marker(ledger.identity, number)
    task = gateway.find_task(facts.project.id, marker)
    if task is None or not task.size:
        task = gateway.create_task(
            _spec(gateway, ledger, facts, selection, number, marker, home, settings, report)
        )
    media = gateway.media(task.id)
    rows = _provenance(media, facts, selection, number)
    ledger.add_provenance(rows)
    if settings.mark_source_deleted:
        _hide_sources(gateway, facts, rows)
    ranks = {row.rank: row for row in selection}
    chosen = {row.frame: ranks[row.rank] for row in rows}
    jobs = [job for job in gateway.jobs(task_id=task.id) if job.type == "annotation"]
    if not jobs:
        raise NotReadyError(f"task {task.id} of round {number} has no jobs yet")
    ranked = rank_new(jobs, chosen)
    ledger.set_ranked_jobs(number, ranked)
    return Prioritised(task.id, ranked, media.storage)


def ranked_jobs(gateway: Gateway, ledger: Ledger, *, number: int) -> tuple[RankedJob, ...]:
    """Return the jobs of a round that still exist, in rank order."""
    rows = ledger.ranked_jobs(number)
    known = {job.id for task in {row.task_id for row in rows} for job in gateway.jobs(task_id=task)}
    return tuple(row for row in rows if row.job_id in known)


def _rank_existing(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    selection: tuple[SelectedFrame, ...],
    number: int,
    settings: RoundSettings,
) -> Prioritised:
    ranked = ledger.ranked_jobs(number)
    if not ranked:
        jobs = {job.id: job for job in gateway.jobs(project_id=facts.project.id)}
        pool = [frame for frame in facts.pool if frame.job_id in jobs]
        ranked = rank_existing(selection, pool, jobs, by=settings.rank_by)
        if not ranked:
            raise NothingToDoError(f"the jobs that round {number} chose from are all taken")
        ledger.set_ranked_jobs(number, ranked)
    return Prioritised(None, ranked, "none")


def _spec(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    selection: tuple[SelectedFrame, ...],
    number: int,
    marker: str,
    home: Home,
    settings: RoundSettings,
    report: Report,
) -> NewTask:
    free = {frame.key for frame in facts.pool}
    frames = tuple(row for row in selection if row.key in free)
    if not frames:
        raise NothingToDoError(f"people have taken every frame that round {number} chose")
    shared = shared_storage(frames, facts.media)
    if shared is not None:
        names = {row.rank: source_name(row, facts.media) for row in frames}
        files: tuple[LocalFile, ...] = ()
    else:
        files, names = _download(gateway, ledger, facts, frames, home, report)
        frames = tuple(row for row in frames if row.rank in names)
    jobs = [tuple(names[row.rank] for row in group) for group in cut(frames, settings.job_size)]
    if settings.job_list == "newest_first":
        jobs.reverse()  # CVAT gives ids in this order and lists the highest id first
    return NewTask(
        name=task_name(
            number,
            len(frames),
            marker,
            settings.job_list,
            asked=str(ledger.choice(number).get("name", "")),
        ),
        marker=marker,
        project_id=facts.project.id,
        jobs=tuple(jobs),
        files=files,
        server_files=() if files else tuple(name for job in jobs for name in job),
        cloud_storage_id=None if shared is None else shared[1],
        subset=settings.task_subset,
    )


def _download(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    frames: tuple[SelectedFrame, ...],
    home: Home,
    report: Report,
) -> tuple[tuple[LocalFile, ...], dict[int, str]]:
    """Fetch the chosen frames; return the files and the name of each rank."""
    images, known = ImageStore(home.images), ledger.frames_of(row.key for row in frames)
    content: dict[int, bytes] = {}
    for task_id in sorted({row.task_id for row in frames}):
        ranks = {row.frame: row for row in frames if row.task_id == task_id}
        for number, row in list(ranks.items()):
            held = images.read(known[row.key]) if row.key in known else None
            if held is not None:
                content[row.rank] = held
                del ranks[number]
        for number, original in read_originals(gateway, facts.media[task_id], list(ranks)):
            if original.content:
                content[ranks[number].rank] = original.content
            report("download", len(content), len(frames))
    if not content:
        raise GatewayError("read", "the chosen frames", None, "CVAT gives none of them")
    names = {
        row.rank: file_name(row, facts.media[row.task_id]) for row in frames if row.rank in content
    }
    files = tuple(LocalFile(names[rank], content[rank]) for rank in sorted(names))
    return files, names


def _provenance(
    task: Media,
    facts: Facts,
    selection: tuple[SelectedFrame, ...],
    number: int,
) -> tuple[Provenance, ...]:
    """Tie the frames of a round's task to their sources by file name, which a retry finds again.

    Raises LedgerError when a frame's name is none that we gave.
    """
    known = [(row, facts.media[row.task_id]) for row in selection if row.task_id in facts.media]
    copied = [
        {file_name(row, media): row for row, media in known},
        {earlier_name(row, media): row for row, media in known},
    ]
    in_place = [{source_name(row, facts.media): row for row, media in known if not media.is_video}]
    ways = copied + in_place if task.storage == "local" else in_place + copied
    names = {frame.name for frame in task.frames}
    by_name = next((way for way in ways if names <= way.keys()), ways[0])
    strange = [frame.name for frame in task.frames if frame.name not in by_name]
    if strange:
        raise LedgerError(
            f"task {task.task_id} of round {number} holds {strange[0]!r}, which round {number} did "
            "not choose. Delete that task in CVAT, and the round makes it anew"
        )
    return tuple(
        Provenance(
            task.task_id,
            frame.number,
            row.task_id,
            row.frame,
            number,
            row.rank,
            row.score,
            row.arm,
            row.reason,
            row.weight,
        )
        for frame in task.frames
        for row in (by_name[frame.name],)
    )


def _hide_sources(gateway: Gateway, facts: Facts, rows: tuple[Provenance, ...]) -> None:
    for task_id in sorted({row.source_task for row in rows}):
        numbers = {row.source_frame for row in rows if row.source_task == task_id}
        hidden = facts.media[task_id].deleted if task_id in facts.media else frozenset()
        if task_id in facts.media and numbers - hidden:
            gateway.set_deleted_frames(task_id, sorted(numbers - hidden))
