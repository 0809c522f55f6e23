"""Finished labels against a model that has not learnt from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.frames.job_cache import JobCache
from cvat_bridge.frames.originals import ImageStore
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.loop.predict import predict
from cvat_bridge.mistakes.ranking import DisputedFrame, Suspect, cautions, known_to, suspects
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import Facts
from cvat_bridge.pull.labelled_frames import (
    LabelledFrame,
    fetch_images,
    one_an_image,
    read_objects,
)
from cvat_bridge.pull.learned_objects import file_name_of
from cvat_bridge.settings import RoundSettings
from trainer.calibration.serving import CalibratedDetector
from trainer.data.dataset import Dataset
from trainer.detector import Detector


@dataclass(frozen=True)
class Disputes:
    """What a model disputes. suspects: likeliest first. judged: frames it could speak about.

    learnt: frames left out because the model learnt from them. unknown: those with a label that
    the model does not know. unread: those whose image cannot be read. cautions: why the model's
    word should be taken with care, a sentence each.
    """

    suspects: tuple[Suspect, ...]
    judged: int
    learnt: int
    unknown: int
    unread: int
    cautions: tuple[str, ...] = ()


def dispute(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    home: Home,
    settings: RoundSettings,
    detector: Detector,
    model: str,
    learnt_from: Dataset,
    report: Report = quiet,
) -> Disputes:
    """Let the serving model judge the finished frames that it did not learn from.

    It speaks against a label where it is likelier right than wrong, which calibrated scores tell.

    facts.jobs: the finished jobs to look at. learnt_from: the snapshot that the model was fitted
    on, whose train part is left out, near-duplicates (its groups) included. Raises
    NothingToDoError when no frame is left to judge, GatewayError, LedgerError.
    """
    frames, unread = _labelled(gateway, ledger, facts, home, report)
    fresh = _not_learnt(frames, learnt_from)
    if not fresh:
        raise NothingToDoError(
            f"the model that serves has learnt from all {len(frames)} finished frames"
            if frames
            else "no finished frame can be read"
        )
    predict(
        gateway,
        ledger,
        replace(facts, pool=()),
        home=home,
        settings=settings,
        detector=detector,
        model=model,
        report=report,
    )
    with PredictionStore(home.predictions, model) as store:
        found = store.get(frame.image.sha256 for frame in fresh)
        labels = store.labels
    judged = [
        DisputedFrame(
            *(frame.job.job_id, frame.image.task_id, frame.image.frame, frame.objects),
            found[frame.image.sha256],
        )
        for frame in fresh
        if frame.image.sha256 in found and known_to(labels, frame.objects)
    ]
    unseen = sum(frame.image.sha256 not in found for frame in fresh)
    return Disputes(
        suspects(judged, labels),
        judged=len(judged),
        learnt=len(frames) - len(fresh),
        unknown=len(fresh) - len(judged) - unseen,
        unread=unread + unseen,
        cautions=cautions(judged, labels, calibrated=isinstance(detector, CalibratedDetector)),
    )


def raise_issues(gateway: Gateway, found: Sequence[Suspect]) -> Mapping[Suspect, int]:
    """Pin a question to each place; return the issues' ids. Asked again, nothing is doubled."""
    return {
        one: gateway.create_issue(one.job_id, one.frame, one.message, one.position) for one in found
    }


def _labelled(
    gateway: Gateway, ledger: Ledger, facts: Facts, home: Home, report: Report
) -> tuple[list[LabelledFrame], int]:
    """Bring the finished frames home; one of each image, and how many cannot be read."""
    jobs = [job for job in facts.jobs if job.frames]
    fetch_images(gateway, ledger, facts, jobs, ImageStore(home.images), report)
    known = ledger.frames()
    objects, _, _ = read_objects(gateway, facts, jobs, JobCache(home.annotations), report)
    keys = [(job, frame_key(job.task_id, frame)) for job in jobs for frame in job.frames]
    good = [
        LabelledFrame(known[key], objects[key], job) for job, key in keys if not known[key].problem
    ]
    kept, _ = one_an_image(good)
    return list(kept.values()), len(keys) - len(good)


def _not_learnt(frames: Sequence[LabelledFrame], learnt_from: Dataset) -> list[LabelledFrame]:
    train = learnt_from.split("train")
    names = {image.file_name for image in train}
    groups = {image.group for image in train if image.group is not None}
    group_of = {image.file_name: image.group for image in learnt_from.images}
    return [
        frame
        for frame in frames
        if (name := file_name_of(frame.image)) not in names
        and (group_of.get(name) is None or group_of[name] not in groups)
    ]
