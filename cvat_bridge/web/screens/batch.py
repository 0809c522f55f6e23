"""The batch that a round chose: its frames, why each was chosen, and the work in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.measures.cost import CostModel, expected_seconds
from active_learning.pool import Objects
from cvat_bridge.cvat.gateway import Gateway, Job
from cvat_bridge.errors import NotFoundError
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Round, SelectedFrame, frame_key
from trainer.detections import Detections


@dataclass(frozen=True)
class BatchFrame:
    """A frame of the batch. task_id, frame: in the pool. job_id, job_frame: where people have it.

    score: the strategy's value, None where it gives none. expected: objects that the model sees in
    it (the sum of its scores), None without a model. seconds: of a person, expected.
    """

    rank: int
    task_id: int
    frame: int
    job_task: int
    job_id: int
    job_frame: int
    arm: str
    reason: str
    score: float | None
    expected: float | None
    seconds: float | None


@dataclass(frozen=True)
class BatchJob:
    """A job of the batch, best first. frames: how many."""

    rank: int
    job_id: int
    task_id: int
    frames: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """What a round put before people. task_id: None where existing jobs were ranked.

    expected, minutes: of all frames, None without a model. proposed: pre-annotations by label.
    """

    round: int
    task_id: int | None
    strategy: str
    phase: str
    frames: tuple[BatchFrame, ...]
    jobs: tuple[BatchJob, ...]
    control: int
    expected: float | None
    minutes: float | None
    proposed: Mapping[str, int]


@dataclass(frozen=True)
class JobState:
    """How far people are with a job. kind: "new", "work", "finished" or "gone"."""

    kind: str
    words: str


def job_states(gateway: Gateway, jobs: Sequence[BatchJob]) -> dict[int, JobState]:
    """Ask CVAT how far people are with a batch's jobs. Raises GatewayError."""
    found: dict[int, JobState] = {}
    for task in sorted({job.task_id for job in jobs}):
        try:
            found |= {job.id: _state(job) for job in gateway.jobs(task_id=task)}
        except NotFoundError:
            continue
    gone = JobState("gone", "deleted in CVAT")
    return {job.job_id: found.get(job.job_id, gone) for job in jobs}


def _state(job: Job) -> JobState:
    who = f" by {job.assignee.username}" if job.assignee else ""
    if job.state == "completed":
        return JobState("finished", f"finished{who}")
    if job.state == "new":
        return JobState("new", f"not begun, with{who[3:]}" if who else "nobody has it")
    return JobState("work", f"{job.state}{who}")


def batch_of(home: Home, ledger: Ledger, rounds: Sequence[Round], cost: CostModel) -> Batch | None:
    """Return the newest batch, None before the first. rounds: oldest first."""
    for row in reversed(rounds):
        selection = ledger.selection(row.number)
        if selection:
            return _batch(home, ledger, row, selection, cost)
    return None


def _batch(
    home: Home, ledger: Ledger, row: Round, selection: Sequence[SelectedFrame], cost: CostModel
) -> Batch:
    jobs = ledger.ranked_jobs(row.number)
    copies = {
        frame_key(c.source_task, c.source_frame): (c.task_id, c.frame)
        for c in ledger.provenance(row.number)
    }
    job_of = {frame_key(job.task_id, frame): job.job_id for job in jobs for frame in job.frames}
    work = _work(home, ledger, str(row.figures.get("model") or ""), selection, cost)
    frames = []
    for frame in selection:
        task, number = copies.get(frame.key, (frame.task_id, frame.frame))
        expected, seconds = work.get(frame.key, (None, None))
        frames.append(
            BatchFrame(
                frame.rank,
                frame.task_id,
                frame.frame,
                task,
                job_of.get(frame_key(task, number), 0),
                number,
                frame.arm,
                frame.reason,
                frame.score,
                expected,
                seconds,
            )
        )
    known = [f for f in frames if f.seconds is not None]
    return Batch(
        round=row.number,
        task_id=row.figures.get("task_id"),
        strategy=str(row.figures.get("strategy") or ""),
        phase=str(row.figures.get("phase") or ""),
        frames=tuple(frames),
        jobs=tuple(BatchJob(j.rank, j.job_id, j.task_id, len(j.frames), j.reason) for j in jobs),
        control=sum(f.arm == "control" for f in frames),
        expected=sum(f.expected or 0.0 for f in known) if known else None,
        minutes=sum(f.seconds or 0.0 for f in known) / 60 if known else None,
        proposed=dict(row.figures.get("proposed") or {}),
    )


def _work(
    home: Home, ledger: Ledger, model: str, selection: Sequence[SelectedFrame], cost: CostModel
) -> dict[str, tuple[float, float]]:
    """Return expected objects and seconds by frame key; of frames that a detector has read."""
    if not model or not any(home.predictions.glob("*.db")):
        return {}
    facts = ledger.frames_of(frame.key for frame in selection)
    with PredictionStore(home.predictions, model) as store:
        if not store.labels:  # an embedding alone names no classes
            return {}
        found = store.get(row.sha256 for row in facts.values())
    return {
        key: (float(seen.scores.sum()), _seconds(seen, cost))
        for key, row in facts.items()
        if (seen := found.get(row.sha256)) is not None
    }


def _seconds(found: Detections, cost: CostModel) -> float:
    objects = Objects(
        offsets=np.array([0, len(found)], np.int64),
        probabilities=found.scores.reshape(-1, 1).astype(np.float32),
        boxes=found.boxes,
        disagreement=None,
        head="sigmoid",
    )
    return float(expected_seconds(objects, cost)[0])
