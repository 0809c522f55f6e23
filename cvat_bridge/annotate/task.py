"""One task, from its frames to the shapes in its jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from cvat_bridge.annotate.existing_shapes import ExistingShapes, occupied
from cvat_bridge.annotate.frames import decode_frames
from cvat_bridge.annotate.inference import FrameInference, InferenceRunner
from cvat_bridge.annotate.plan import TaskAnnotationPlan, covers, reason_to_skip
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.annotate.shapes_to_write import boxes_to_mask, frame_row, maskless, unwritten
from cvat_bridge.annotate.summary import AnnotationSummary, SkippedFrame
from cvat_bridge.annotate.writing import Writer, finish_pending_writes
from cvat_bridge.cvat.gateway import Gateway, JobAnnotations
from cvat_bridge.frames.originals import ahead
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import AnnotatedFrame
from cvat_bridge.masks.interactors import NO_INTERACTOR
from cvat_bridge.masks.making import make_masks
from cvat_bridge.models.serving import project_key
from cvat_bridge.shapes.detected import Made
from serverless.errors import ModelError
from trainer.data.images import RGBImage
from trainer.detections import Detections

DECODERS = 2  # they wait for CVAT more than they work


@dataclass
class _JobRun:
    """A job during a run: what it holds, and what this model did in it before."""

    held: JobAnnotations
    existing: ExistingShapes
    done: dict[int, AnnotatedFrame]


@dataclass(frozen=True)
class TaskRun:
    """One task's share of a plan; what it does is added to `outcome`."""

    gateway: Gateway
    ledger: Ledger
    plan: TaskAnnotationPlan
    runner: InferenceRunner
    stop: threading.Event
    outcome: AnnotationSummary
    request: AnnotationRequest

    def frames(self) -> Iterator[int]:
        """Work, and give the number of each frame once it is dealt with."""
        jobs: dict[int, _JobRun] = {}
        jobs_of: dict[int, list[int]] = {}  # of each frame that is due
        for job in self.plan.jobs:
            due = self.plan.due[job.id]
            if not due:
                continue
            run = jobs[job.id] = self._read(job.id)
            full = occupied(run.held, job.stop_frame) if self.request.only_empty else frozenset()
            self.outcome.occupied += len(full.intersection(due) - run.done.keys())
            for frame in due:
                row = run.done.get(frame)
                settled = row is not None and covers(row.reach, self.plan.least)
                if frame not in full and not settled:
                    jobs_of.setdefault(frame, []).append(job.id)
        yield from sorted(set(self.plan.frames) - jobs_of.keys())
        source = decode_frames(self.gateway, self.plan.media, sorted(jobs_of), threads=DECODERS)
        runner, least = self.runner.sized(self.plan.media), min(self.plan.least.values())
        held = {job_id: run.held for job_id, run in jobs.items()}
        with (
            closing(ahead(source, depth=2 * runner.batch)) as ready,
            Writer(self.gateway, self.ledger, held, allowed=self._allowed) as writer,
        ):
            for seen in runner.run(ready, min_score=least, stop=self.stop, draw=self._draw):
                if seen.found is None:
                    self._leave_out(seen)
                else:
                    self.outcome.frames += 1
                    self.outcome.unwritten.update(unwritten(self.plan, seen))
                    self.outcome.maskless.update(maskless(self.plan, seen))
                    for job_id in jobs_of[seen.frame]:
                        writer.put(self._row(seen, job_id, jobs[job_id]))
                yield seen.frame

    def _draw(self, image: RGBImage, found: Detections) -> Made:
        """Make the masks of the boxes that are written as masks or polygons."""
        rows = boxes_to_mask(self.plan, found)
        if not rows:
            return {}
        project = self.plan.task.project_id
        engine = self.runner.segmenter(None if project is None else project_key(project))()
        if engine is None:
            raise ModelError(NO_INTERACTOR)
        return make_masks(engine, image, found, rows)

    def _read(self, job_id: int) -> _JobRun:
        model = self.runner.model.version
        held = self.gateway.annotations(job_id)
        rows = self.ledger.annotated(job_id, model).values()
        if pending := [row for row in rows if row.pending]:
            self.outcome.objects += finish_pending_writes(self.gateway, self.ledger, pending, held)
            held = self.gateway.annotations(job_id)
        return _JobRun(held, ExistingShapes(held.shapes), self.ledger.annotated(job_id, model))

    def _row(self, seen: FrameInference, job_id: int, run: _JobRun) -> AnnotatedFrame:
        earlier = run.done.get(seen.frame)
        model = self.runner.model.version
        row, doubled = frame_row(self.plan, seen, job_id, model, earlier, run.existing)
        self.outcome.doubled.update(doubled)
        return row

    def _allowed(self, job_id: int, rows: list[AnnotatedFrame]) -> list[AnnotatedFrame]:
        """Return the rows that may be written now: people may have been at the job meanwhile."""
        job = self.gateway.job(job_id)
        if reason := reason_to_skip(job, named=job_id in self.request.job_ids):
            self.outcome.left_alone[job_id] = reason
            return []
        if self.request.only_empty:
            full = occupied(self.gateway.annotations(job_id), job.stop_frame)
            self.outcome.occupied += sum(row.frame in full for row in rows)
            rows = [row for row in rows if row.frame not in full]
        names = {label.id: label.name for label in self.plan.labelling.label_of.values()}
        shapes = [shape for row in rows for shape in row.pending]
        self.outcome.objects += len(shapes)
        self.outcome.by_label.update(names[int(shape["label_id"])] for shape in shapes)
        return rows

    def _leave_out(self, seen: FrameInference) -> None:
        name = self.plan.media.frames[seen.frame].name
        self.outcome.left_out.append(
            SkippedFrame(self.plan.task.id, seen.frame, name, seen.problem)
        )
