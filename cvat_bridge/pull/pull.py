"""Finished jobs → a snapshot in COCO form; only what changed is read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.frames.job_cache import JobCache
from cvat_bridge.frames.originals import ImageStore
from cvat_bridge.frames.origins import image_groups, origins
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import KnownLabel, Membership, UsedJob, frame_key
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import Facts, LabelledJob
from cvat_bridge.pull.label_changes import changes, learnable
from cvat_bridge.pull.labelled_frames import (
    LabelledFrame,
    Skipped,
    fetch_images,
    one_an_image,
    read_objects,
)
from cvat_bridge.pull.learned_objects import annotated_image
from cvat_bridge.pull.sides import freeze_sides, sides_of
from cvat_bridge.settings import RoundSettings
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_snapshot
from trainer.errors import DatasetError


@dataclass(frozen=True)
class Pulled:
    """A snapshot. dataset.path is its folder, dataset.fingerprint its name.

    train, holdout: images on each side. fetched: images that had to be downloaded. read: jobs
    whose annotations had to be read. held: how each image of the holdout came there. skipped: what
    is missing and why. notes: what happened to the project's labels since the last pull.
    """

    dataset: Dataset
    train: int
    holdout: int
    fetched: int
    read: int
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()
    held: tuple[Membership, ...] = ()


def pull(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    home: Home,
    settings: RoundSettings,
    now: Callable[[], str],
    number: int | None = None,
    report: Report = quiet,
) -> Pulled:
    """Bring the finished jobs home as a snapshot and record them as used.

    now: gives the time in ISO 8601. number: of the round that pulls, None for a training by hand;
    stands in the manifest, by which a lost ledger is seen. Broken images and objects that cannot
    be learned are named in `skipped`. Raises NothingToDoError without a finished job,
    LabelMismatchError when the project has no label that can be learned, DatasetError when no
    image at all can be read, GatewayError, LedgerError.
    """
    jobs = [job for job in facts.jobs if job.frames]
    if not jobs:
        raise NothingToDoError(f"project {facts.project.id} has no finished job to learn from")
    usable = learnable(facts.labels)
    labels = LabelMap(tuple(label.name for label in usable))
    skipped = [
        Skipped(f"label {label.name!r}", f"{label.type} cannot be learned")
        for label in facts.labels
        if label not in usable
    ] + [
        Skipped(
            f"job {job.job_id}",
            "none of its frames is its own: the ground-truth job or an overlapping one gives them, "
            "or they are deleted",
        )
        for job in facts.jobs
        if not job.frames
    ]
    fetched = fetch_images(gateway, ledger, facts, jobs, ImageStore(home.images), report)
    known = ledger.frames()
    objects, read, left_out = read_objects(gateway, facts, jobs, JobCache(home.annotations), report)
    frames = [
        LabelledFrame(known[key], objects[key], job)
        for job in jobs
        for key in (frame_key(job.task_id, frame) for frame in job.frames)
        if not known[key].problem
    ]
    skipped += left_out + [
        Skipped(key, known[key].problem)
        for job in jobs
        for key in (frame_key(job.task_id, frame) for frame in job.frames)
        if known[key].problem
    ]
    if not frames:
        raise DatasetError(
            home.images, "", f"none of the labelled images can be read: {skipped[-1].reason}"
        )
    groups = image_groups(
        known.values(),
        media=facts.media,
        origin=origins(ledger.provenance()),
        segment=settings.video_segment,
        within=settings.duplicate_distance,
    )
    chosen, doubled = one_an_image(frames)
    freeze_sides(ledger, facts, chosen, groups, settings, now())
    sides, leaking = sides_of(ledger, chosen, groups)
    images = [
        _row(chosen[sha256], labels, split, groups[sha256], facts)
        for sha256, split in sides.items()
    ]
    skipped += doubled + leaking
    store = ImageStore(home.images)
    dataset = write_snapshot(
        home.snapshots,
        labels=labels,
        images=images,
        sources={
            row.file_name: store.path(chosen[sha256].image)
            for row, sha256 in zip(images, sides, strict=True)
        },
        manifest=_manifest(facts, jobs, skipped, number),
    )
    notes = changes(ledger.labels(), facts.labels)
    ledger.set_labels(KnownLabel(one.id, one.name, one.type) for one in facts.labels)
    ledger.use_jobs(
        UsedJob(job.job_id, job.updated_date, job.state, dataset.fingerprint) for job in facts.jobs
    )
    members = ledger.memberships()
    held = tuple(members[sha256] for sha256, split in sides.items() if split == "holdout")
    trains = len(sides) - len(held)
    return Pulled(dataset, trains, len(held), fetched, read, tuple(skipped), notes, held)


def _row(
    frame: LabelledFrame, labels: LabelMap, split: str, group: str, facts: Facts
) -> AnnotatedImage:
    job = {"job": frame.job.job_id, "job_updated_date": frame.job.updated_date}
    if subset := facts.tasks[frame.job.task_id].subset:
        job["subset"] = subset
    return annotated_image(
        frame.image, frame.objects, labels=labels, split=split, group=group, job=job
    )


def _manifest(
    facts: Facts, jobs: list[LabelledJob], skipped: list[Skipped], number: int | None
) -> dict[str, object]:
    return {
        "project": facts.project.id,
        "round": number,
        "holdout_rule": facts.holdout_rule,
        "label_ids": {label.name: label.id for label in facts.labels},
        "jobs": [
            {"job": job.job_id, "task": job.task_id, "updated_date": job.updated_date}
            for job in jobs
        ],
        "skipped": [asdict(row) for row in skipped],
    }
