"""Answers that get lost on the way: what was made is found, and nothing is made twice.

A proxy stands between the client and a sandbox. It passes one chosen request on and then loses
the answer, or loses the request itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.gateway import LocalFile, NewTask
from cvat_bridge.errors import UnreachableError
from cvat_bridge.sandbox import Sandbox, running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures, unique
from tests.fakes.scripted import Answer, Asked, forwarded, scripted


class LossyProxy:
    """Passes everything on, except that it loses what it is told to.

    lose: whether a request is meant; the first of those (as many as `times`) are lost. after: they
    are done first.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.lose: Callable[[Asked], bool] = lambda _: False
        self.after = True
        self.times = 1
        self.lost = 0

    def __call__(self, asked: Asked) -> Answer:
        if self.lost < self.times and self.lose(asked):
            self.lost += 1
            if self.after:
                forwarded(self.url, asked)
            return Answer(hang_up=True) if self.after else Answer(502, b"<html>Bad Gateway</html>")
        return forwarded(self.url, asked)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture(scope="module")
def stage(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpStage]:
    stage = HttpStage(
        sandbox.url, tmp_path_factory.mktemp("cache"), token=sandbox.admin_token, login=None
    )
    yield stage
    stage.close()


@pytest.fixture
def proxy(sandbox: Sandbox) -> LossyProxy:
    return LossyProxy(sandbox.url)


@pytest.fixture
def gateway(proxy: LossyProxy, sandbox: Sandbox, tmp_path: Path) -> Iterator[CvatClient]:
    with (
        scripted(proxy) as server,
        connect(server.url, token=sandbox.admin_token, cache_dir=tmp_path, patience=30) as client,
    ):
        yield client


def sent(method: str, path: str, header: str = "") -> Callable[[Asked], bool]:
    """Mean the requests of a method whose path begins so (and that carry a header)."""
    return lambda asked: (
        asked.method == method
        and asked.path.startswith(path)
        and (not header or header in asked.headers)
    )


LOSSES = {
    "the task was made": (sent("POST", "/api/tasks"), True),
    "the task was not made": (sent("POST", "/api/tasks"), False),
    "the upload began": (sent("POST", "/api/tasks/", "upload-start"), True),
    "a file arrived": (sent("POST", "/api/tasks/", "upload-multiple"), True),
    "a file did not arrive": (sent("POST", "/api/tasks/", "upload-multiple"), False),
    "the upload ended": (sent("POST", "/api/tasks/", "upload-finish"), True),
    "the upload did not end": (sent("POST", "/api/tasks/", "upload-finish"), False),
    "the wait": (sent("GET", "/api/requests/"), True),
}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_task_is_made_once_whatever_is_lost(
    gateway: CvatClient, proxy: LossyProxy, stage: HttpStage, loss: str
):
    project = stage.add_project(LABELS)
    marker = unique("marker")
    files = tuple(LocalFile(name, content) for name, content in pictures(3).items())
    jobs = ((files[2].name,), (files[0].name, files[1].name))
    proxy.lose, proxy.after = LOSSES[loss]

    made = gateway.create_task(NewTask(marker, marker, project, jobs, files))

    assert proxy.lost == 1
    assert [task.id for task in stage.gateway.tasks(project)] == [made.id]
    assert [frame.name for frame in stage.gateway.media(made.id).frames] == [
        files[2].name,
        files[0].name,
        files[1].name,
    ]


@pytest.mark.parametrize("after", [True, False], ids=["written", "not written"])
def test_shapes_are_written_once(
    gateway: CvatClient, proxy: LossyProxy, stage: HttpStage, after: bool
):
    project = stage.add_project(LABELS)
    (job,) = stage.gateway.jobs(task_id=stage.add_task(project, pictures(1)))
    label = stage.gateway.labels(project_id=project)[0].id
    shapes = [
        {
            "type": "rectangle",
            "frame": 0,
            "label_id": label,
            "points": [float(n), 1.0, n + 2.5, 4.0],
            "source": "auto",
            "score": 0.5,
        }
        for n in range(20)
    ]
    proxy.lose, proxy.after = sent("PATCH", f"/api/jobs/{job.id}/annotations"), after

    written = gateway.create_annotations(job.id, shapes=shapes)

    held = stage.gateway.annotations(job.id).shapes
    assert proxy.lost == 1
    assert sorted(one["points"] for one in held) == sorted(one["points"] for one in shapes)
    assert {one["id"] for one in written.shapes} == {one["id"] for one in held}


@pytest.mark.parametrize("after", [True, False], ids=["made", "not made"])
def test_guide_question_and_webhook_are_made_once(
    gateway: CvatClient, proxy: LossyProxy, stage: HttpStage, after: bool
):
    project = stage.add_project(LABELS)
    (job,) = stage.gateway.jobs(task_id=stage.add_task(project, pictures(1)))

    proxy.lose, proxy.after = sent("POST", "/api/guides"), after
    gateway.set_guide(project, "# Rules")
    proxy.lost, proxy.lose = 0, sent("POST", "/api/issues")
    issue = gateway.create_issue(job.id, 0, "One or two?", [1, 2, 3, 4])
    proxy.lost, proxy.lose = 0, sent("POST", "/api/webhooks")
    hook = gateway.ensure_webhook(project, "http://127.0.0.1:9/hook", "secret")

    assert proxy.lost == 1
    assert stage.gateway.guide(project) == "# Rules"
    listed = stage.call("GET", f"/api/issues?job_id={job.id}")["results"]
    assert [one["id"] for one in listed] == [issue]
    assert stage.gateway.webhooks(project) == (hook,)


def test_a_task_whose_upload_keeps_failing_is_given_up_and_made_by_the_next_call(
    gateway: CvatClient, proxy: LossyProxy, stage: HttpStage
):
    """After some tries the error comes out; later the same call leaves one whole task."""
    project = stage.add_project(LABELS)
    marker = unique("marker")
    files = tuple(LocalFile(name, content) for name, content in pictures(1).items())
    spec = NewTask(marker, marker, project, ((files[0].name,),), files)
    proxy.lose, proxy.after = sent("POST", "/api/tasks/", "upload-finish"), False
    proxy.times = 100
    with pytest.raises(UnreachableError, match=marker):
        gateway.create_task(spec)
    proxy.lose = lambda _: False
    made = gateway.create_task(spec)

    assert [task.id for task in stage.gateway.tasks(project)] == [made.id]
    assert made.size == 1
