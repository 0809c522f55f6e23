"""Every kind of call to CVAT with something that goes wrong on the way.

A proxy between our client and a sandbox spoils one request of each call. The call must end as the
undisturbed one does, or with an error of ours, after which the same call again must end so; what
CVAT holds then is compared with what the undisturbed call left.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvat_bridge.cvat.client import connect
from cvat_bridge.cvat.gateway import Gateway, Lease, LocalFile, NewTask
from cvat_bridge.errors import BridgeError
from cvat_bridge.sandbox import running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures, unique
from tests.fakes.scripted import Answer, Asked, forwarded, scripted
from tests.faults.campaign import Line

_PATIENCE = 60.0


class SpoilingProxy:
    """Passes requests on; when armed, the n-th one from then on is spoilt by a fault."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked = 0
        self._fault, self._at = "", 0
        self._late: list[Asked] = []
        self._lock = threading.Lock()

    def arm(self, fault: str = "", at: int = 0) -> None:
        """Count anew; fault: one of FAULTS, or "" for none. at: from 0."""
        with self._lock:
            self.asked, self._fault, self._at, self._late = 0, fault, at, []

    def carry_out(self) -> None:
        """Let the server do late what was never answered."""
        with self._lock:
            late, self._late = self._late, []
        for asked in late:
            forwarded(self.url, asked)

    def __call__(self, asked: Asked) -> Answer:
        with self._lock:
            number, self.asked = self.asked, self.asked + 1
            fault = self._fault if number == self._at else ""
            if fault == "carried out late":
                self._late.append(asked)
                return Answer(hang_up=True)
        if fault:
            return FAULTS[fault](self.url, asked)
        answer = forwarded(self.url, asked)
        with self._lock:
            again = any((a.method, a.path) == (asked.method, asked.path) for a in self._late)
        if again:
            self.carry_out()
        return answer


def _half(url: str, asked: Asked) -> Answer:
    answer = forwarded(url, asked)
    return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


def _page(url: str, asked: Asked) -> Answer:
    forwarded(url, asked)
    return Answer(200, b"<html><body>Welcome to the proxy</body></html>")


def _unanswered(url: str, asked: Asked) -> Answer:
    forwarded(url, asked)
    return Answer(hang_up=True)


FAULTS: Mapping[str, Callable[[str, Asked], Answer]] = {
    "lost": lambda _url, _asked: Answer(hang_up=True),
    "done, the answer lost": _unanswered,
    "carried out late": lambda _url, _asked: Answer(hang_up=True),
    "500": lambda _url, _asked: Answer(500, b"<h1>Server Error (500)</h1>"),
    "502": lambda _url, _asked: Answer(502, b"<html>Bad Gateway</html>"),
    "503": lambda _url, _asked: Answer(503, b"", {"Retry-After": "1"}),
    "429": lambda _url, _asked: Answer(429, b"{}", {"Retry-After": "1"}),
    "done, half an answer": _half,
    "done, a page as the answer": _page,
}


@dataclass(frozen=True)
class Call:
    """A kind of call. prepare: what it is about, made anew. held: what CVAT holds afterwards."""

    name: str
    prepare: Callable[[Scene], Any]
    act: Callable[[Gateway, Any], Any]
    held: Callable[[Scene, Any], Any] | None = None  # None: what the call reads is compared


@dataclass
class Scene:
    """A sandbox with a project. gateway: undisturbed."""

    stage: HttpStage
    project: int
    task: int
    job: int
    label: int
    made: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def gateway(self) -> Gateway:
        """Return the client that no proxy stands before."""
        return self.stage.gateway

    def boxes(self, count: int) -> list[dict[str, Any]]:
        """Return objects that no other call wrote."""
        first = next(self.made)
        return [
            {
                "type": "rectangle",
                "frame": 0,
                "label_id": self.label,
                "points": [n + 0.5, 1 + first / 10_000, n + 3.0, 4.0],
                "source": "auto",
                "score": 0.5,
            }
            for n in range(count)
        ]

    def new_task(self) -> int:
        """Make a task of two images."""
        return self.stage.add_task(self.project, pictures(2))

    def spec(self) -> NewTask:
        """Describe a task that is not there yet."""
        marker = unique("proxied")
        files = tuple(LocalFile(name, content) for name, content in pictures(2).items())
        return NewTask(f"Round {marker}", marker, self.project, ((files[0].name,),), files[:1])

    def written(self, gateway: Gateway) -> tuple[Any, list[dict[str, Any]]]:
        """Return what a job of its own holds after three objects were written."""
        job = gateway.jobs(task_id=self.new_task())[0].id
        return job, list(gateway.create_annotations(job, shapes=self.boxes(3)).shapes)


def _read(name: str, act: Callable[[Gateway, Scene], Any]) -> Call:
    return Call(name, lambda scene: scene, act)


READS = (
    _read("capabilities", lambda gateway, _: gateway.capabilities()),
    _read("identity", lambda gateway, _: gateway.identity()),
    _read("project", lambda gateway, scene: gateway.project(scene.project).name),
    _read("projects", lambda gateway, scene: len(gateway.projects()) > 0),
    _read("last_changes", lambda gateway, scene: bool(gateway.last_changes(scene.project))),
    _read("labels", lambda gateway, scene: gateway.labels(project_id=scene.project)),
    _read(
        "tasks", lambda gateway, scene: scene.task in {t.id for t in gateway.tasks(scene.project)}
    ),
    _read("task", lambda gateway, scene: gateway.task(scene.task)),
    _read("jobs", lambda gateway, scene: gateway.jobs(task_id=scene.task)),
    _read("job", lambda gateway, scene: gateway.job(scene.job).task_id),
    _read("users", lambda gateway, _: gateway.users()),
    _read("media", lambda gateway, scene: gateway.media(scene.task)),
    _read("job_media", lambda gateway, scene: gateway.job_media(scene.job)),
    _read("annotations", lambda gateway, scene: gateway.annotations(scene.job).shapes),
    _read("find_task", lambda gateway, scene: gateway.find_task(scene.project, "no such marker")),
    _read("guide", lambda gateway, scene: isinstance(gateway.guide(scene.project), str)),
    _read("webhooks", lambda gateway, scene: isinstance(gateway.webhooks(scene.project), tuple)),
    _read("leases", lambda gateway, scene: gateway.leases(scene.project)),
    Call(
        "frames",
        Scene.new_task,  # never fetched before, so that no cache answers
        lambda gateway, task: [data for _, data in gateway.frames(task, (0, 1))],
    ),
)


def _points(scene: Scene, job: int) -> list[Any]:
    return sorted(shape["points"] for shape in scene.gateway.annotations(job).shapes)


def _created(scene: Scene, spec: NewTask) -> list[tuple[int, int]]:
    tasks = [t for t in scene.gateway.tasks(scene.project) if spec.marker in t.name]
    return [(t.size, len(scene.gateway.jobs(task_id=t.id))) for t in tasks]


WRITES = (
    Call(
        "create_annotations",
        lambda scene: (scene.gateway.jobs(task_id=scene.new_task())[0].id, scene.boxes(7)),
        lambda gateway, about: gateway.create_annotations(about[0], shapes=about[1]),
        lambda scene, about: len(_points(scene, about[0])),
    ),
    Call(
        "delete_annotations",
        lambda scene: scene.written(scene.gateway),
        lambda gateway, about: gateway.delete_annotations(about[0], about[1][:2]),
        lambda scene, about: len(_points(scene, about[0])),
    ),
    Call("create_task", Scene.spec, lambda gateway, spec: gateway.create_task(spec), _created),
    Call(
        "delete_task",
        Scene.new_task,
        lambda gateway, task: gateway.delete_task(task),
        lambda scene, task: task in {t.id for t in scene.gateway.tasks(scene.project)},
    ),
    Call(
        "update_job",
        lambda scene: scene.gateway.jobs(task_id=scene.new_task())[0].id,
        lambda gateway, job: gateway.update_job(job, state="completed", stage="acceptance"),
        lambda scene, job: (scene.gateway.job(job).state, scene.gateway.job(job).stage),
    ),
    Call(
        "set_deleted_frames",
        Scene.new_task,
        lambda gateway, task: gateway.set_deleted_frames(task, (1,)),
        lambda scene, task: sorted(scene.gateway.media(task).deleted),
    ),
    Call(
        "set_guide",
        lambda scene: (scene.stage.add_project(LABELS), "Mark each cell."),
        lambda gateway, about: gateway.set_guide(*about),
        lambda scene, about: scene.gateway.guide(about[0]),
    ),
    Call(
        "create_issue",
        lambda scene: scene.gateway.jobs(task_id=scene.new_task())[0].id,
        lambda gateway, job: gateway.create_issue(job, 0, "Is this a cell?", (1.0, 2.0)) > 0,
        lambda scene, job: scene.stage.call("GET", f"/api/issues?job_id={job}")["count"],
    ),
    Call(
        "ensure_webhook",
        lambda scene: scene.stage.add_project(LABELS),
        lambda gateway, project: gateway.ensure_webhook(project, "http://127.0.0.1:9/hook", "s"),
        lambda scene, project: len(scene.gateway.webhooks(project)),
    ),
    Call(
        "take_lease",
        lambda scene: scene.stage.add_project(LABELS),
        lambda gateway, project: gateway.take_lease(project, "ab12", "a bridge").holder,
        lambda scene, project: bool(scene.gateway.leases(project)),
    ),
    Call(
        "renew_lease",
        lambda scene: _leased(scene),
        lambda gateway, about: gateway.renew_lease(about[1]).holder,
        lambda scene, about: len(scene.gateway.leases(about[0])),
    ),
    Call(
        "drop_lease",
        lambda scene: _leased(scene),
        lambda gateway, about: gateway.drop_lease(about[1]),
        lambda scene, about: len(scene.gateway.leases(about[0])),
    ),
)


def _leased(scene: Scene) -> tuple[int, Lease]:
    project = scene.stage.add_project(LABELS)
    return project, scene.gateway.take_lease(project, "cd34", "a bridge")


def spoilt_calls(folder: Path, count: int, seed: int = 0) -> Line:
    """Spoil one request of each of so many calls: every kind of call meets every fault."""
    line = Line("calls to CVAT with a fault on the way")
    dice = random.Random(seed)
    with ExitStack() as open_:
        sandbox = open_.enter_context(running(folder / "sandbox"))
        stage = HttpStage(sandbox.url, folder / "stage", token=sandbox.admin_token, login=None)
        open_.callback(stage.close)
        scene = _scene(stage)
        proxy = SpoilingProxy(sandbox.url)
        server = open_.enter_context(scripted(proxy))
        gateway = open_.enter_context(
            connect(
                server.url, token=sandbox.admin_token, cache_dir=folder / "c", patience=_PATIENCE
            )
        )
        undisturbed = {call.name: _undisturbed(scene, gateway, proxy, call) for call in CALLS}
        kinds = itertools.cycle(dice.sample([*itertools.product(CALLS, FAULTS)], _KINDS))
        for call, fault in itertools.islice(kinds, count):
            requests, expected = undisturbed[call.name]
            about, at = call.prepare(scene), dice.randrange(requests)
            proxy.arm(fault, at)
            told = f"{call.name}, request {at + 1} of {requests} {fault}"
            try:
                try:
                    answer = call.act(gateway, about)
                except BridgeError as error:
                    told += f" ({type(error).__name__})"
                    answer = call.act(gateway, about)
            except Exception as error:  # noqa: BLE001 whatever it is, it did not hold
                line.count(False, f"{told}: {type(error).__name__}: {error}")
                continue
            finally:
                proxy.arm()
            held = call.held(scene, about) if call.held else answer
            line.count(held == expected, f"{told}: {held} instead of {expected}")
    return line


def _scene(stage: HttpStage) -> Scene:
    project = stage.add_project(LABELS)
    task = stage.add_task(project, pictures(4), segment_size=2)
    job = stage.gateway.jobs(task_id=task)[0].id
    label = stage.gateway.labels(project_id=project)[0].id
    scene = Scene(stage, project, task, job, label)
    stage.annotate(job, shapes=scene.boxes(5))
    return scene


def _undisturbed(
    scene: Scene, gateway: Gateway, proxy: SpoilingProxy, call: Call
) -> tuple[int, Any]:
    """Return how many requests a call takes and what is held afterwards."""
    about = call.prepare(scene)
    proxy.arm()
    answer = call.act(gateway, about)
    return proxy.asked, call.held(scene, about) if call.held else answer


CALLS = (*READS, *WRITES)
_KINDS = len(CALLS) * len(FAULTS)
