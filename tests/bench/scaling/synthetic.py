"""A project of many frames without an image: what CVAT, the ledger and a model would say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cvat_bridge.cvat.gateway import Frame, Job, JobAnnotations, NewTask, Task
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, frame_key
from tests.fakes.gateway import FakeGateway
from tests.fakes.server import FakeServer, Stored
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.detector import RGBImage

CLASSES = tuple(f"class {n}" for n in range(10))
WIDTH, HEIGHT = 640, 480
EMBEDDING, OBJECTS, SCENE = 128, 5, 8  # numbers, objects a frame on average, frames of a scene
MODEL = "version-1"
_BLOCK = 2000


class NothingToRead:
    """The detector of a pool that was read before: it is asked for no image."""

    @property
    def labels(self) -> LabelMap:
        """Its classes."""
        return LabelMap(CLASSES)

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Refuse."""
        raise AssertionError(f"{len(images)} images were read although all are predicted")


class LargeGateway(FakeGateway):
    """Holds no image: a round's task is made of the names of files on CVAT's share."""

    def annotations(self, job_id: int) -> JobAnnotations:
        """Nobody has drawn anything in the pool."""
        self._enter("annotations")
        return JobAnnotations()

    def create_task(self, spec: NewTask) -> Task:
        """Make the task from the names alone."""
        self._enter("create_task")
        names = [name for job in spec.jobs for name in job]
        return add_task(self.server, spec.project_id, names, name=spec.name, jobs=spec.jobs)


def add_task(
    server: FakeServer,
    project: int,
    names: Sequence[str],
    *,
    name: str,
    jobs: Sequence[Sequence[str]] = (),
) -> Task:
    """Add a task of frames on the share."""
    frames = tuple(Frame(n, one, WIDTH, HEIGHT) for n, one in enumerate(names))
    task = Task(server.next_id(), name, project, len(frames), "annotation", "", server.now())
    server.tasks[task.id] = Stored(task, frames, (), storage="share")
    at = 0
    for size in [len(job) for job in jobs] or [len(names)]:
        job = Job(
            id=server.next_id(),
            task_id=task.id,
            project_id=project,
            type="annotation",
            state="new",
            stage="annotation",
            assignee=None,
            start_frame=at,
            stop_frame=at + size - 1,
            frame_count=size,
            updated_date=server.now(),
        )
        server.jobs[job.id] = job
        server.annotations[job.id] = JobAnnotations()
        at += size
    return task


def project(frames: int, *, tasks: int, labelled: int) -> tuple[FakeServer, int]:
    """Return a server with one project of so many frames, the first ones finished."""
    server = FakeServer()
    made = server.add_project("large", list(CLASSES))
    for n, numbers in enumerate(np.array_split(np.arange(frames), tasks)):
        names = [f"camera_{n:03}/{number:07}.jpg" for number in numbers.tolist()]
        cut = [names[:labelled], names[labelled:]] if n == 0 else [names]
        add_task(server, made.id, names, name=f"task {n}", jobs=cut)
    first = min(server.jobs)
    server.jobs[first] = replace(server.jobs[first], state="completed")
    return server, made.id


def fill(server: FakeServer, ledger: Ledger, home: Home) -> None:
    """Write what a first pass over every frame leaves in the ledger and the predictions."""
    places = ((task, frame.number) for task, one in server.tasks.items() for frame in one.frames)
    rng = np.random.default_rng(0)
    scenes = Scenes(rng)
    with PredictionStore(home.predictions, MODEL, labels=CLASSES) as store:
        while block := [place for place, _ in zip(places, range(_BLOCK), strict=False)]:
            rows = [facts_of(task, number, scenes.hash()) for task, number in block]
            ledger.add_frames(rows)
            store.put({row.sha256: found for row, found in zip(rows, answers(rng), strict=False)})


class Scenes:
    """Difference hashes: frames of a scene differ in a few bits; a part of the frames is dark.

    A dark frame's hash is zeros but for a few places, so that dark frames agree in many bands.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._base = rng, np.zeros(256, np.uint8)
        self._left = 0

    def hash(self) -> str:
        """Return the hash of the next frame."""
        if not self._left:
            dark = self._rng.random() < 0.1
            self._base = (self._rng.random(256) < (0.15 if dark else 0.5)).astype(np.uint8)
            self._left = SCENE
        self._left -= 1
        bits = self._base.copy()
        bits[self._rng.integers(0, 256, 3)] ^= 1
        return np.packbits(bits).tobytes().hex()


def facts_of(task: int, number: int, perceptual: str) -> FrameFacts:
    """Return what the ledger keeps of a frame."""
    key = frame_key(task, number)
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    return FrameFacts(key, task, number, sha256, ".jpg", WIDTH, HEIGHT, perceptual)


def answers(rng: np.random.Generator) -> Iterator[Detections]:
    """Yield what a model of ten classes says of frame after frame: objects and an embedding."""
    kinds = np.random.default_rng(1).standard_normal((50, EMBEDDING)).astype(np.float32)
    while True:
        counts = rng.poisson(OBJECTS, _BLOCK)
        total = int(counts.sum())
        probabilities = (rng.random((total, len(CLASSES)), np.float32) ** 6).astype(np.float32)
        low = rng.random((total, 2), np.float32) * np.float32([WIDTH - 60, HEIGHT - 60])
        boxes = np.hstack([low, low + 10 + 50 * rng.random((total, 2), np.float32)])
        vectors = rng.standard_normal((_BLOCK, EMBEDDING), np.float32)
        vectors += 2 * kinds[rng.integers(0, len(kinds), _BLOCK)]
        at = 0
        for count, vector in zip(counts.tolist(), vectors, strict=True):
            own = probabilities[at : at + count]
            yield Detections(
                boxes[at : at + count],
                own.max(axis=1, initial=0),
                own.argmax(axis=1).astype(np.int64) if count else np.zeros(0, np.int64),
                own,
                embedding=vector,
            )
            at += count
