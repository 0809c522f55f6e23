"""A model runs over a task while a person works in its jobs: theirs stays as they left it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cvat_bridge.annotate.inference import InferenceRunner
from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.annotate.plan import make_plan
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.annotate.run import annotate
from cvat_bridge.cvat.client import connect
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.ledger import Ledger
from cvat_bridge.sandbox import running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures
from tests.fakes.scripted import Answer, Asked, forwarded, scripted
from tests.faults.campaign import Line
from tests.serverless.fakes import Scripted, bundle, detections, model_of
from trainer.data.labels import LabelMap
from trainer.detections import Detections

_FRAMES, _JOB = 4, 2
_BOXES = ((1, 1, 9, 9), (12, 2, 20, 11), (3, 12, 15, 19))
_REQUESTS = 16  # of an undisturbed run, about


@dataclass
class Person:
    """Works in a task by plain HTTP. shapes: what is theirs, by id; gone: what they deleted."""

    stage: HttpStage
    task: int
    label: int
    dice: random.Random
    shapes: dict[int, Any] = field(default_factory=dict)
    gone: list[tuple[int, Any]] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    drawn: int = 0

    def act(self) -> None:
        """Do one thing in one of the jobs."""
        job = self.dice.choice(self.stage.gateway.jobs(task_id=self.task))
        found = [s for s in self.held(job.id) if s["id"] not in self.shapes]
        deeds = [self._draw, self._finish] + 2 * [self._move, self._delete] * bool(found)
        deed = self.dice.choice(deeds)
        self.did.append(deed.__name__.strip("_"))
        deed(job, found)

    def held(self, job: int) -> list[dict[str, Any]]:
        """Read the shapes of a job as the editor does."""
        return list(self.stage.call("GET", f"/api/jobs/{job}/annotations")["shapes"])

    def _draw(self, job: Any, _: object) -> None:
        self.drawn += 1
        frame = self.dice.randrange(job.start_frame, job.stop_frame + 1)
        place = [2.5, 3.5, 8.0 + self.drawn / 8, 9.5]
        box = {"frame": frame, "label_id": self.label, "points": place, "source": "manual"}
        made = self._patch("create", job.id, [{"type": "rectangle", "occluded": False, **box}])
        self.shapes |= {shape["id"]: shape["points"] for shape in made}

    def _move(self, job: Any, found: list[dict[str, Any]]) -> None:
        one = self.dice.choice(found)
        moved = {**one, "points": [value + 0.75 for value in one["points"]]}
        self._patch("update", job.id, [moved])
        self.shapes[one["id"]] = moved["points"]
        self.gone.append((one["frame"], one["points"]))  # must not come back beside it

    def _delete(self, job: Any, found: list[dict[str, Any]]) -> None:
        one = self.dice.choice(found)
        self._patch("delete", job.id, [one])
        self.gone.append((one["frame"], one["points"]))

    def _finish(self, job: Any, _: object) -> None:
        self.stage.call("PATCH", f"/api/jobs/{job.id}", json={"state": "completed"})

    def _patch(self, action: str, job: int, shapes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = {"version": 0, "shapes": shapes, "tags": [], "tracks": []}
        answer = self.stage.call("PATCH", f"/api/jobs/{job}/annotations?action={action}", json=body)
        return list(answer["shapes"])


class MeddlingProxy:
    """Passes every request on; before some of them a person acts."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.person: Person | None = None
        self.moments: tuple[int, ...] = ()
        self.asked = 0

    def __call__(self, asked: Asked) -> Answer:
        self.asked += 1
        if self.person is not None and self.asked in self.moments:
            self.person.act()
        return forwarded(self.url, asked)


def interleavings(folder: Path, count: int, seed: int = 0) -> Line:
    """Let a person act once to three times within each of so many runs over a task of their own.

    The run is taken again afterwards, as after a kill. In the end everything of the person's is as
    they left it, what they moved or deleted did not come back, and nothing is there twice.
    """
    line = Line("runs of a model while a person works in the task")
    dice = random.Random(seed)
    with ExitStack() as open_:
        sandbox = open_.enter_context(running(folder / "sandbox"))
        stage = HttpStage(sandbox.url, folder / "stage", token=sandbox.admin_token, login=None)
        open_.callback(stage.close)
        proxy = MeddlingProxy(sandbox.url)
        server = open_.enter_context(scripted(proxy))
        gateway = open_.enter_context(
            connect(server.url, token=sandbox.admin_token, cache_dir=folder / "c", patience=60)
        )
        project = stage.add_project(LABELS)
        label = next(x for x in stage.gateway.labels(project_id=project) if x.name == "cell").id
        over = model_over(folder)
        for n in range(count):
            task = stage.add_task(project, pictures(_FRAMES), segment_size=_JOB)
            person = Person(stage, task, label, dice)
            proxy.asked, proxy.person = 0, person
            proxy.moments = tuple(dice.sample(range(1, _REQUESTS), dice.randrange(1, 4)))
            with Ledger(folder / f"{n}" / "ledger.db") as ledger:
                over(gateway, ledger, task, folder / f"{n}")
                proxy.moments = ()
                over(gateway, ledger, task, folder / f"{n}")
            wrong = list(_wrong(person))
            line.count(not wrong, f"{person.did} before {proxy.moments}: {wrong}")
            stage.gateway.delete_task(task)
    return line


def _wrong(person: Person) -> Iterator[str]:
    jobs = person.stage.gateway.jobs(task_id=person.task)
    held = [shape for job in jobs for shape in person.held(job.id)]
    points = {shape["id"]: shape["points"] for shape in held}
    for number, left in person.shapes.items():
        if points.get(number) != left:
            yield f"theirs at {left} is at {points.get(number)}"
    there = Counter((shape["frame"], tuple(shape["points"])) for shape in held)
    yield from (f"{place} is there {times} times" for place, times in there.items() if times > 1)
    for frame, gone in person.gone:
        if (frame, tuple(gone)) in there and gone not in person.shapes.values():
            yield f"{gone} on frame {frame} came back"


def model_over(folder: Path) -> Any:
    classes = LabelMap(("cell",))

    def find(_image: np.ndarray) -> Detections:
        return detections(*((*box, 0.9, 0) for box in _BOXES))

    made = bundle(folder / "bundle", labels=classes)
    chosen = ChosenModel(made, "found", {"cell": "cell"})

    def over(gateway: Gateway, ledger: Ledger, task: int, locks: Path) -> None:
        runner = InferenceRunner(model_of(made, Scripted(find, classes)), streams=1, batch=1)
        plan = make_plan(gateway, ledger, chosen, AnnotationRequest(task_id=task, min_score=0.0))
        annotate(gateway, ledger, plan, runner, locks=locks)

    return over
