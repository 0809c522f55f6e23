"""The notes to a round's jobs, from what the model said of their frames and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cvat_bridge.cvat.gateway import Gateway, Label
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import RankedJob, frame_key
from cvat_bridge.loop.people.job_notes import FrameView, JobNote, note
from cvat_bridge.loop.proposals.preannotate import images_of_frames
from cvat_bridge.project.availability import job_frames
from cvat_bridge.savings.controls import sent_as_controls
from cvat_bridge.shapes.detected import match_labels
from cvat_bridge.thresholds.rule import DrawingSeconds
from trainer.calibration.worth import FIXED_SHARE
from trainer.data.dataset import Dataset
from trainer.detections import Detections

_SUSPECTED = 0.2  # from this score an object that is not drawn is worth a look


@dataclass(frozen=True)
class AssistingModel:
    """The model that looked at the frames, and how its answers become labels.

    version: its predictions. label_ids: see `match_labels`. task: boxes or masks.
    """

    version: str
    label_ids: Mapping[str, int]
    task: str


def job_notes(
    gateway: Gateway,
    ledger: Ledger,
    jobs: Sequence[RankedJob],
    labels: Sequence[Label],
    *,
    number: int,
    home: Home,
    looked: AssistingModel | None,
    seconds: DrawingSeconds,
    opened: float,
    usual: float | None,
) -> dict[int, JobNote]:
    """Return what to look at in each job of round `number`, by job id.

    looked: None where no model serves. opened: seconds to open a frame. usual: seconds of drawing
    that a frame of this project takes, None where unknown; for frames that no model has seen.
    Raises GatewayError, LedgerError.
    """
    held = {job.id: job for task in {j.task_id for j in jobs} for job in gateway.jobs(task_id=task)}
    frames = {row.job_id: sorted(job_frames(held[row.job_id])) for row in jobs}
    drawn: dict[tuple[int, int], dict[str, float]] = {}
    for row in ledger.proposals(number=number):
        lowest = drawn.setdefault((row.job_id, row.frame), {})
        lowest[row.label] = min(row.score, lowest.get(row.label, 1.0))
    images = images_of_frames(ledger)
    keys = {(r.job_id, n): frame_key(r.task_id, n) for r in jobs for n in frames[r.job_id]}
    shas = {place: images[key].sha256 for place, key in keys.items() if key in images}
    found: dict[str, Detections] = {}
    label_of: Mapping[int, Label] = {}
    if looked is not None:
        with PredictionStore(home.predictions, looked.version) as store:
            found = store.get(shas.values())
            label_of = match_labels(store.labels, labels, looked.label_ids).label_of
    task = looked.task if looked else "boxes"
    controls = sent_as_controls(ledger.preannotated())

    def view(place: tuple[int, int]) -> FrameView:
        mine, seen = drawn.get(place, {}), found.get(shas.get(place, ""))
        if seen is None:
            return FrameView(place[1], mine, {}, None if usual is None else opened + usual)
        one = _view(place[1], mine, seen, label_of, seconds, opened, task)
        # What the model suspects would help, and nothing may help where that is measured.
        return replace(one, suspected={}) if place[0] in controls else one

    return {
        job_id: note([view((job_id, n)) for n in numbers], frames=len(numbers))
        for job_id, numbers in frames.items()
    }


def usual_seconds(
    dataset: Dataset, labels: Sequence[Label], seconds: DrawingSeconds, task: str = "boxes"
) -> float | None:
    """Return the seconds of drawing that a labelled frame took on average; None without frames."""
    types = {label.name: label.type for label in labels}
    images = [image for image in dataset.images if image.split != "holdout"]
    if not images:
        return None
    names = (dataset.labels.name_of(o.class_id) for image in images for o in image.objects)
    return sum(seconds.of(types.get(name, "any"), task).draw for name in names) / len(images)


def _view(
    frame: int,
    drawn: Mapping[str, float],
    found: Detections,
    label_of: Mapping[int, Label],
    seconds: DrawingSeconds,
    opened: float,
    task: str,
) -> FrameView:
    """Weigh each object by the probability that its score states."""
    suspected: dict[str, float] = {}
    total = opened
    for class_id, value in zip(found.class_ids.tolist(), found.scores.tolist(), strict=True):
        label = label_of.get(int(class_id))
        if label is None:
            continue
        each, p = seconds.of(label.type, task), float(value)
        if p >= drawn.get(label.name, 2.0) - 1e-4:
            total += each.verify + p * FIXED_SHARE * each.fix + (1 - p) * each.delete
            continue
        total += p * each.draw
        if p >= _SUSPECTED:
            suspected[label.name] = max(p, suspected.get(label.name, 0.0))
    return FrameView(frame, drawn, suspected, total)
