"""Exports a group with people's labels: COCO or YOLO, as one zip file."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.frames.job_cache import JobCache
from cvat_bridge.frames.originals import ImageStore
from cvat_bridge.home import Home
from cvat_bridge.ledger.page_records import AssetGroup
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.loop.parts import Parts
from cvat_bridge.pull.label_changes import learnable
from cvat_bridge.pull.labelled_frames import (
    LabelledFrame,
    fetch_images,
    one_an_image,
    read_objects,
)
from cvat_bridge.pull.learned_objects import annotated_image
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset
from trainer.data.snapshot_forms import FORMS


@dataclass(frozen=True)
class Exported:
    """The file that was written.

    frames, objects: in it. unlabelled: frames of the group that nobody has finished, so that they
    are not in it: without labels they would say that nothing is there.
    """

    file: Path
    frames: int
    objects: int
    unlabelled: int


def exported_file(home: Home, group: AssetGroup, form: str) -> Path:
    """Return where the export of a version lies, or will lie. Raises ConfigError for its form."""
    if form not in FORMS:
        raise ConfigError([f"format: one of {', '.join(sorted(FORMS))}, found {form!r}"])
    plain = re.sub(r"[^\w.-]+", "-", group.name).strip("-.") or "group"
    return home.root / "exports" / f"{plain}-v{group.version}-{form}.zip"


def export_group(parts: Parts, group: AssetGroup, form: str) -> Exported:
    """Write the frames of a group with the labels that people have finished, over an earlier file.

    Held-out frames are a part of their own ("holdout" in COCO, "test" in YOLO). Frames that stand
    in several jobs are taken once. Raises ConfigError, NothingToDoError where no frame is
    labelled, GatewayError, DatasetError.
    """
    target = exported_file(parts.home, group, form)
    frames = _labelled(parts, group)
    if not frames:
        raise NothingToDoError(f"nobody has finished a frame of the group {group.name!r} yet")
    members = parts.ledger.memberships()
    labels = LabelMap(tuple(label.name for label in learnable(parts.labels())))
    images = [
        annotated_image(
            one.image,
            one.objects,
            labels=labels,
            split="holdout" if _is_held(members.get(one.image.sha256)) else "train",
            group=one.image.sha256,
            job={"job": one.job.job_id},
        )
        for one in frames
    ]
    store = ImageStore(parts.home.images)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        root = Path(folder)
        manifest = {"group": group.name, "version": group.version, "about": group.about}
        dataset = write_dataset(
            root / "dataset",
            labels=labels,
            images=images,
            sources={
                row.file_name: store.path(one.image)
                for row, one in zip(images, frames, strict=True)
            },
            manifest=manifest,
        )
        FORMS[form](dataset, root / form)
        _zipped(root / form, root / "made.zip", parts)
        (root / "made.zip").replace(target)
    objects = sum(len(image.objects) for image in images)
    return Exported(target, len(frames), objects, len(set(group.frames)) - len(frames))


def _labelled(parts: Parts, group: AssetGroup) -> list[LabelledFrame]:
    """Return the finished frames of a group with their objects, one for each image."""
    wanted, facts = set(group.frames), parts.gather()
    jobs = [
        job
        for job in facts.jobs
        if any(frame_key(job.task_id, frame) in wanted for frame in job.frames)
    ]
    fetch_images(
        parts.gateway, parts.ledger, facts, jobs, ImageStore(parts.home.images), parts.report
    )
    known = parts.ledger.frames()
    cache = JobCache(parts.home.annotations)
    objects, _, _ = read_objects(parts.gateway, facts, jobs, cache, parts.report)
    found = [
        LabelledFrame(known[key], objects[key], job)
        for job in jobs
        for key in (frame_key(job.task_id, frame) for frame in job.frames)
        if key in wanted and key in known and not known[key].problem
    ]
    return list(one_an_image(found)[0].values())


def _is_held(member: object) -> bool:
    return getattr(member, "role", "") == "holdout"


def _zipped(folder: Path, target: Path, parts: Parts) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
        for place, path in enumerate(files, 1):
            made.write(path, path.relative_to(folder))
            parts.report("zip", place, len(files))
    shutil.rmtree(folder)
