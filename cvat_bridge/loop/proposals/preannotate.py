"""The model's objects go into a round's jobs before anybody has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from cvat_bridge.cvat.gateway import Gateway, Job, JobAnnotations, Label, RawShape
from cvat_bridge.cvat.shape_equality import shape_key
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, PreAnnotatedJob, Proposal, RankedJob, frame_key
from cvat_bridge.loop.proposals.proposing import propose
from cvat_bridge.masks.frames import MaskTally, with_masks
from cvat_bridge.masks.making import Segmenter, segmenter_of
from cvat_bridge.models.serving import project_key
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.availability import is_touched, job_frames
from cvat_bridge.savings.controls import CONTROL
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.detected import FrameDetections, LabelMatching, match_labels


@dataclass(frozen=True)
class PreAnnotated:
    """What the round's jobs hold now.

    proposed: objects by label. skipped: jobs left alone and why. unmatched: model classes that no
    label of the project takes or that are withheld, and why. maskless: boxes, by label, that were
    to become masks and are not proposed since nothing was found in them; unread: frames that could
    not be looked at for that, and why, by key. Both tell of the jobs that this call filled.
    controls: jobs that go out without pre-annotation on purpose.
    """

    proposed: dict[str, int]
    skipped: dict[int, str]
    unmatched: dict[str, str] = field(default_factory=dict)
    maskless: dict[str, int] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    controls: tuple[int, ...] = ()


def preannotate(
    gateway: Gateway,
    ledger: Ledger,
    project_id: int,
    jobs: Sequence[RankedJob],
    *,
    number: int,
    model: str,
    home: Home,
    settings: RoundSettings,
    label_ids: Mapping[str, int] | None = None,
    withheld: Mapping[str, str] = MappingProxyType({}),
    segmenter: Segmenter | None = None,
    controls: frozenset[int] = frozenset(),
    report: Report = quiet,
) -> PreAnnotated:
    """Write the predictions of `model` into the jobs and record them in the ledger.

    Shapes carry source auto and score, and fit the type of the label. label_ids: the CVAT label
    that each model class was learned from, so that renamed labels are still found; others go by
    name. withheld: classes of the model that it finds too seldom to be put before people, and
    why. segmenter: makes masks of boxes for labels of type mask and polygon; the project's own
    or the shipped one unless given. A box in which it finds nothing is not proposed. controls:
    jobs that stay empty, so that it is measured what pre-annotation saves. A job where
    people have drawn, that they have finished, or that holds automatic objects of another hand is
    left alone. Untouched proposals of an earlier round are replaced. Calling it again adds nothing
    twice. Raises GatewayError, LedgerError, BundleError.
    """
    done, images, tally = ledger.preannotated(), images_of_frames(ledger), MaskTally()
    segmenter = segmenter or segmenter_of(home.functions, project_key(project_id))
    with PredictionStore(home.predictions, model) as store:
        names = store.labels
        matching = match_labels(
            names, gateway.labels(project_id=project_id), label_ids or {}
        ).without(withheld, names)
        for place, row in enumerate(jobs, 1):
            if row.job_id not in done or done[row.job_id].round != number:
                job = gateway.job(row.job_id)
                if row.job_id in controls:
                    problem = why_left_alone(job, gateway.annotations(job.id), (), ()) or CONTROL
                    ledger.save_preannotated(PreAnnotatedJob(row.job_id, number, model, problem))
                    continue
                frames = with_masks(
                    gateway,
                    job.task_id,
                    _detections(job, images, store),
                    matching.label_of,
                    settings,
                    segmenter,
                    tally,
                )
                proposed_shapes = propose(frames, matching.label_of, settings)
                # Making masks takes a while, in which people may come.
                job = gateway.job(row.job_id)
                problem = _fill(gateway, ledger, job, number, model, proposed_shapes, matching)
                ledger.save_preannotated(PreAnnotatedJob(row.job_id, number, model, problem))
            report("pre-annotate", place, len(jobs))
    after = ledger.preannotated()
    return PreAnnotated(
        dict(Counter(row.label for row in ledger.proposals(number=number))),
        {row.job_id: why for row in jobs if (why := after[row.job_id].problem) and why != CONTROL},
        {**matching.unmatched, **{names[n]: why for n, why in tally.impossible.items()}},
        dict(tally.maskless),
        tally.unread,
        tuple(row.job_id for row in jobs if after[row.job_id].problem == CONTROL),
    )


def _fill(
    gateway: Gateway,
    ledger: Ledger,
    job: Job,
    number: int,
    model: str,
    proposed_shapes: Sequence[RawShape],
    matching: LabelMatching,
) -> str:
    """Bring one job to the state wanted; return why it was left alone, or ""."""
    held = gateway.annotations(job.id)
    earlier = [p for p in ledger.proposals(job_id=job.id) if p.round != number]
    outdated = outdated_shapes(held, proposed_shapes, earlier)
    problem = why_left_alone(job, held, proposed_shapes, earlier)
    if outdated and not problem:
        # Whoever has the job open keeps what is in it, and would bring back what we delete.
        now = gateway.job(job.id)
        if (now.state, now.assignee, now.updated_date) != ("new", None, job.updated_date):
            problem = "people have opened it with an earlier round's proposals"
    rows = _rows(proposed_shapes, number, job.id, model, tuple(matching.label_of.values()))
    if problem:
        # An earlier try may have written before people came.
        ids = {shape_key(shape): int(shape["id"]) for shape in held.shapes}
        written = [
            replace(p, shape_id=ids[shape_key(shape)])
            for p, shape in zip(rows, proposed_shapes, strict=True)
            if shape_key(shape) in ids
        ]
        ledger.set_proposals(number, job.id, written)
        return problem
    ledger.set_proposals(number, job.id, rows)
    if outdated:
        gateway.delete_annotations(job.id, outdated)
    answer = gateway.create_annotations(job.id, shapes=proposed_shapes)
    ledger.set_proposals(
        number,
        job.id,
        [
            replace(p, shape_id=int(shape["id"]))
            for p, shape in zip(rows, answer.shapes, strict=True)
        ],
    )
    return ""


def why_left_alone(
    job: Job, held: JobAnnotations, proposed_shapes: Sequence[RawShape], earlier: Sequence[Proposal]
) -> str:
    """Return why nothing may be written into a job; "" when it may. Pure."""
    if job.state not in ("new", "in progress"):
        return f"it is {job.state}"
    if is_touched(held):
        return "people have drawn in it"
    ours = {shape_key(shape) for shape in proposed_shapes}
    known = {p.shape_id for p in earlier if p.shape_id is not None}
    foreign = [
        one
        for one in (*held.shapes, *held.tags, *held.tracks)
        if one.get("id") not in known and ("points" not in one or shape_key(one) not in ours)
    ]
    return f"it holds {len(foreign)} automatic objects of another hand" if foreign else ""


def outdated_shapes(
    held: JobAnnotations, proposed_shapes: Sequence[RawShape], earlier: Sequence[Proposal]
) -> list[RawShape]:
    """Return the untouched proposals of earlier rounds that are not wanted again. Pure."""
    ours = {shape_key(shape) for shape in proposed_shapes}
    known = {p.shape_id for p in earlier if p.shape_id is not None}
    return [
        shape
        for shape in held.shapes
        if shape.get("id") in known
        and shape.get("source") == "auto"
        and shape_key(shape) not in ours
    ]


def images_of_frames(ledger: Ledger) -> dict[str, FrameFacts]:
    """Return the image of every frame by key, of a copy that of its source."""
    known = ledger.frames()
    copies = {
        frame_key(row.task_id, row.frame): known[source]
        for row in ledger.provenance()
        if (source := frame_key(row.source_task, row.source_frame)) in known
    }
    return known | copies


def _detections(
    job: Job, images: Mapping[str, FrameFacts], store: PredictionStore
) -> list[FrameDetections]:
    """Return what the model said about the frames of a job that it has seen."""
    held = {
        number: row
        for number in sorted(job_frames(job))
        if (row := images.get(frame_key(job.task_id, number))) is not None and not row.problem
    }
    found = store.get(row.sha256 for row in held.values())
    return [
        FrameDetections(number, row.width, row.height, found[row.sha256])
        for number, row in held.items()
        if row.sha256 in found
    ]


def _rows(
    proposed_shapes: Sequence[RawShape],
    number: int,
    job_id: int,
    model: str,
    labels: Sequence[Label],
) -> list[Proposal]:
    names = {label.id: label.name for label in labels}
    return [
        Proposal(
            number,
            job_id,
            int(shape["frame"]),
            place,
            int(shape["label_id"]),
            names[int(shape["label_id"])],
            str(shape["type"]),
            tuple(float(value) for value in shape["points"]),
            float(shape["score"]),
            model,
        )
        for place, shape in enumerate(proposed_shapes)
    ]
