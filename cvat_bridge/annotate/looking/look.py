"""A model looks at one frame of a task: what it would bring there, and what stands there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from cvat_bridge.annotate.existing_shapes import ExistingShapes
from cvat_bridge.annotate.frames import DecodedFrame, decode_frames
from cvat_bridge.annotate.inference import FrameInference, InferenceRunner
from cvat_bridge.annotate.looking.candidates import Candidate, Drawn, candidates_of, drawn_of
from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.annotate.plan import TaskAnnotationPlan, make_plan
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.annotate.shapes_to_write import boxes_to_mask, shapes_of
from cvat_bridge.cvat.gateway import Gateway, Label
from cvat_bridge.errors import BridgeError
from cvat_bridge.ledger import Ledger
from cvat_bridge.masks.interactors import NO_INTERACTOR
from cvat_bridge.masks.making import make_masks
from cvat_bridge.models.serving import project_key
from cvat_bridge.project.availability import job_frames
from cvat_bridge.shapes.detected import Made
from serverless.errors import ModelError
from trainer.data.images import RGBImage
from trainer.detections import Detections

LOWEST = 0.05  # a candidate below it is not shown
MOST = 500  # candidates of a frame, best first


@dataclass(frozen=True)
class Target:
    """A task with the model that looks at it. plan: made with every class from LOWEST on.

    left_alone: jobs that are not touched, and why.
    """

    model: ChosenModel
    plan: TaskAnnotationPlan
    left_alone: Mapping[int, str]

    @property
    def labels(self) -> dict[int, Label]:
        """The labels that classes become, by id."""
        return {label.id: label for label in self.plan.labelling.label_of.values()}

    def frames(self) -> tuple[int, ...]:
        """Return the frames whose jobs may be annotated, rising."""
        inside = {frame for job in self.plan.jobs for frame in job_frames(job)}
        return tuple(sorted(inside - self.plan.media.deleted))

    def jobs_of(self, frame: int) -> tuple[int, ...]:
        """Return the jobs that hold a frame and may be annotated."""
        return tuple(job.id for job in self.plan.jobs if frame in job_frames(job))


@dataclass(frozen=True)
class Look:
    """What a model would bring to a frame. standing: what people and models have there already.

    seen: the answer itself. cut: candidates beyond MOST, the least sure ones, not among these.
    """

    task_id: int
    frame: int
    name: str
    width: int
    height: int
    job_id: int
    model: str
    candidates: tuple[Candidate, ...]
    standing: tuple[Drawn, ...]
    cut: int
    seen: FrameInference = field(repr=False, compare=False)


def target(
    gateway: Gateway, ledger: Ledger, model: ChosenModel, task_id: int, mapped: Mapping[str, str]
) -> Target:
    """Read a task for a model; see make_plan. mapped: class → label, "" leaves a class out.

    Raises GatewayError, NotReadyError, LabelMismatchError where no class has a label.
    """
    wanted = AnnotationRequest(task_id=task_id, min_score=LOWEST, mapped=mapped, known_only=True)
    plan = make_plan(gateway, ledger, model, wanted)
    return Target(model, plan.tasks[0], plan.left_alone)


def infer(gateway: Gateway, where: Target, runner: InferenceRunner, frame: int) -> FrameInference:
    """Let the model look at a frame. Raises GatewayError, BridgeError for a bad image."""
    if frame not in where.frames():
        raise BridgeError(f"task {where.plan.task.id} has no frame {frame} that may be annotated")

    def draw(image: RGBImage, found: Detections) -> Made:
        rows = boxes_to_mask(where.plan, found)
        if not rows:
            return {}
        project = where.plan.task.project_id
        engine = runner.segmenter(None if project is None else project_key(project))()
        if engine is None:
            raise ModelError(NO_INTERACTOR)
        return make_masks(engine, image, found, rows)

    source: list[DecodedFrame] = list(decode_frames(gateway, where.plan.media, [frame], threads=1))
    for seen in runner.run(source, min_score=LOWEST, stop=threading.Event(), draw=draw):
        if seen.found is None:
            raise BridgeError(f"frame {frame} of task {where.plan.task.id}: {seen.problem}")
        return seen
    raise BridgeError(f"frame {frame} of task {where.plan.task.id} could not be looked at")


def look_of(gateway: Gateway, where: Target, seen: FrameInference) -> Look:
    """Lay what was found over what stands there now. Raises GatewayError."""
    job_id = where.jobs_of(seen.frame)[0]
    held = gateway.annotations(job_id)
    here = [shape for shape in held.shapes if int(shape["frame"]) == seen.frame]
    standing = ExistingShapes(held.shapes)
    shapes = shapes_of(where.plan, seen, {}, first_group=standing.next_group)
    found = candidates_of(shapes, where.labels, standing)
    media = where.plan.media.frames[seen.frame]
    known = {label.id: label for label in gateway.labels(task_id=where.plan.task.id)}
    return Look(
        task_id=where.plan.task.id,
        frame=seen.frame,
        name=media.name,
        width=seen.width,
        height=seen.height,
        job_id=job_id,
        model=where.model.version,
        candidates=found[:MOST],
        standing=drawn_of(here, known),
        cut=max(0, len(found) - MOST),
        seen=seen,
    )
