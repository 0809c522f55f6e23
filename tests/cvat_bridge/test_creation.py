"""Making a task while CVAT is slow, refuses, or reads the files from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cvat_bridge.cvat.client import CvatClient
from cvat_bridge.cvat.gateway import LocalFile, NewTask
from cvat_bridge.cvat.rest.chunks import ChunkCache
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.retries import Patience
from cvat_bridge.errors import GatewayError, NotReadyError
from tests.fakes.images import picture
from tests.fakes.scripted import Answer, Asked, Scripted, scripted

SPEC = NewTask("round 1 [m1]", "[m1]", 7, (("a.png",),), (LocalFile("a.png", picture(1)),))
CLOUD = NewTask(
    "round 2 [m2]",
    "[m2]",
    7,
    (("x/b.png",), ("x/a.png",)),
    server_files=("x/a.png", "x/b.png", "x/c.png"),
    cloud_storage_id=4,
)


class Cvat:
    """A server with one project; `states` are what its import worker says, one a question."""

    def __init__(self, *states: dict[str, Any] | None, organization: int | None = None) -> None:
        self.states = list(states)
        self.organization = organization
        self.tasks: dict[int, dict[str, Any]] = {}
        self.data: Any = None

    def __call__(self, asked: Asked) -> Answer:
        steps: dict[tuple[str, str], Callable[[Asked], Answer]] = {
            ("GET", "/api/projects/7"): self.project,
            ("GET", "/api/tasks"): self.listed,
            ("POST", "/api/tasks"): self.made,
            ("GET", "/api/server/about"): lambda _: Answer(200, {"version": "2.73.0"}),
        }
        if step := steps.get((asked.method, asked.path)):
            return step(asked)
        number = int(asked.path.split("/")[3]) if asked.path.startswith("/api/tasks/") else 0
        if asked.path.startswith("/api/requests/"):
            return self.request()
        if asked.method == "DELETE":
            return Answer(204 if self.tasks.pop(number, None) else 404)
        if asked.method == "POST" and "/data" in asked.path:
            return self.attached(asked)
        return Answer(200, self.tasks[number]) if number in self.tasks else Answer(404, {})

    def project(self, _: Asked) -> Answer:
        row = {"id": 7, "name": "p", "owner": None, "organization_id": self.organization}
        return Answer(200, row)

    def listed(self, _: Asked) -> Answer:
        return Answer(200, {"count": 0, "next": None, "results": list(self.tasks.values())})

    def made(self, asked: Asked) -> Answer:
        number = 10 + len(self.tasks)
        self.tasks[number] = {"id": number, "mode": "", **asked.json}
        return Answer(201, self.tasks[number])

    def attached(self, asked: Asked) -> Answer:
        if "upload-start" in asked.headers:
            return Answer(202)
        if "upload-multiple" in asked.headers:
            return Answer(200)
        self.data = asked.json
        return Answer(202, {"rq_id": "action=create&target=task&target_id=10"})

    def request(self) -> Answer:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            return Answer(404, {"detail": "not found"})
        if state["status"] == "finished":
            for task in self.tasks.values():
                task["size"] = 1
        return Answer(200, state)


def a_client(server: Scripted, folder: Path) -> CvatClient:
    """Return a client whose waits take no time."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    line = Connection(
        server.url,
        token="secret",
        password=None,
        organization=None,
        timeout=5,
        patience=Patience(total=60, clock=lambda: now[0], sleep=sleep),
        page_size=50,
        cache_dir=folder,
    )
    return CvatClient(line, ChunkCache(folder / "chunks", 1 << 20))


def test_a_slow_cvat_is_waited_for(tmp_path: Path):
    cvat = Cvat({"status": "queued"}, {"status": "started"}, {"status": "finished"})
    with scripted(cvat) as server, a_client(server, tmp_path) as gateway:
        task = gateway.create_task(SPEC)

    assert (task.id, task.size) == (10, 1)


def test_a_cvat_that_takes_too_long_is_left_to_its_work(tmp_path: Path):
    """NotReadyError; the next call waits for the same task instead of making another."""
    cvat = Cvat({"status": "started"})
    with scripted(cvat) as server, a_client(server, tmp_path) as gateway:
        with pytest.raises(NotReadyError, match=r"task 10: .*after 300 s \(started\)"):
            gateway.create_task(SPEC)

        assert list(cvat.tasks) == [10]
        cvat.states = [{"status": "started"}, {"status": "finished"}]
        assert gateway.create_task(SPEC).id == 10
        assert server.count("POST", "/api/tasks") == 1


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"status": "failed", "message": "ValueError: no such file x/a.png"}, "no such file"),
        (None, "without any frame"),
    ],
)
def test_a_task_that_cvat_gives_up_is_taken_away(
    tmp_path: Path, state: dict[str, Any] | None, reason: str
):
    cvat = Cvat(state)
    with (
        scripted(cvat) as server,
        a_client(server, tmp_path) as gateway,
        pytest.raises(GatewayError, match=reason),
    ):
        gateway.create_task(SPEC)

    assert cvat.tasks == {}


def test_files_of_a_cloud_storage_stay_there(tmp_path: Path):
    """No copy is made, only the files in jobs are named, and nothing is uploaded."""
    cvat = Cvat({"status": "finished"})
    with scripted(cvat) as server, a_client(server, tmp_path) as gateway:
        gateway.create_task(CLOUD)

        assert cvat.data == {
            "image_quality": 95,
            "job_file_mapping": [["x/b.png"], ["x/a.png"]],
            "server_files": ["x/a.png", "x/b.png"],
            "cloud_storage_id": 4,
            "use_cache": True,
            "copy_data": False,
        }
        assert not any("upload-start" in one.headers for one in server.asked)


def test_a_task_goes_into_its_projects_organization(tmp_path: Path):
    cvat = Cvat({"status": "finished"}, organization=3)
    with scripted(cvat) as server, a_client(server, tmp_path) as gateway:
        gateway.create_task(SPEC)

        (made,) = [one for one in server.asked if (one.method, one.path) == ("POST", "/api/tasks")]
    assert made.query == {"org_id": "3"}
    assert json.loads(made.body) == {"name": "round 1 [m1]", "project_id": 7, "subset": ""}
