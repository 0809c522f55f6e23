"""One `cvat-bridge run` for several projects of a CVAT: real server, real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cvat_sdk.core.client import Client
from cvat_sdk.core.proxies.tasks import ResourceType

from cvat_bridge.home import Home
from cvat_bridge.sandbox import Sandbox
from tests.patience import patience

GHOST = 987_654  # an id that no project has


@pytest.fixture(scope="module")
def projects(client: Client, images: tuple[Path, ...]) -> list[int]:
    made = []
    for name in ("cells", "cars", "birds"):
        project = client.projects.create({"name": name, "labels": [{"name": name}]})
        client.tasks.create_from_data(
            {"name": f"pool of {name}", "project_id": project.id},
            list(images),
            resource_type=ResourceType.LOCAL,
        )
        made.append(project.id)
    return made


class Service:
    """A `cvat-bridge run` and the commands beside it."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self.path = path
        self.environment = {**os.environ, "CVAT_ACCESS_TOKEN": sandbox.admin_token}
        self.log = path.with_suffix(".log")
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*self._program("run"), "--json"], stderr=out, env=self.environment
            )
        self.home = Home(path.parent / "home")

    def _program(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cvat_bridge.cli", *words, "--config", str(self.path)]

    def command(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*self._program(*words)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=patience(100),
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        port = yaml.safe_load(self.path.read_text())["service"]["port"]
        token = {"Authorization": f"Bearer {self.home.service_token()}"}
        try:
            found = requests.get(f"http://127.0.0.1:{port}/status", headers=token, timeout=100)
        except requests.ConnectionError:
            return {}
        answer: dict[str, Any] = found.json()
        return answer

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(patience(60))


@pytest.fixture(scope="module")
def service(
    sandbox: Sandbox, projects: list[int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free_port = taken.getsockname()[1]
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "home": "home",
        "cvat": {"url": sandbox.url},
        "active_learning": {"budget": 2},
        "rounds": {"job_size": 2},
        "service": {"port": free_port, "poll_seconds": 0.5},
        "projects": [
            {"id": projects[0]},
            {"id": projects[1], "active_learning": {"budget": 3}},
            {"id": GHOST},
        ],
    }
    path = folder / "cvat-bridge.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    started = Service(path, sandbox)
    yield started
    started.process.kill()
    started.process.wait()


def until(condition: Callable[[], bool], service: Service) -> None:
    limit = time.monotonic() + patience(60)
    while not condition():
        assert service.process.poll() is None, service.log.read_text()[-3000:]
        assert time.monotonic() < limit, service.log.read_text()[-3000:]
        time.sleep(0.2)


def round_tasks(client: Client, project: int) -> list[Any]:
    tasks = client.projects.retrieve(project).get_tasks()
    return [task for task in tasks if not task.name.startswith("pool")]


def test_each_project_gets_its_ranked_task_though_one_is_not_there(
    client: Client, service: Service, projects: list[int]
) -> None:
    cells, cars, birds = projects
    until(lambda: all(round_tasks(client, one) for one in (cells, cars)), service)

    (of_cells,), (of_cars,) = (round_tasks(client, one) for one in (cells, cars))
    assert (of_cells.size, of_cars.size) == (2, 3)
    assert round_tasks(client, birds) == []
    until(lambda: "projects" in service.status(), service)
    found = service.status()["projects"]
    assert set(found) == {str(cells), str(cars), str(GHOST)}
    assert str(GHOST) in found[str(GHOST)]["loop"]
    assert found[str(cells)]["round"] == 1
    assert Home(service.home.of_project(cells)).ledger.exists()


def test_a_project_is_added_paused_and_removed_while_the_service_runs(
    client: Client, service: Service, projects: list[int]
) -> None:
    *_, birds = projects
    code, said = service.command("projects", "add", str(birds))
    assert code == 0, said
    until(lambda: bool(round_tasks(client, birds)), service)

    assert service.command("projects", "pause", str(birds))[0] == 0
    code, listed = service.command("projects", "list", "--json")
    rows = {row["id"]: row for row in json.loads(listed)}
    assert (rows[birds]["state"], rows[birds]["origin"]) == ("paused", "command")
    assert service.command("projects", "remove", str(GHOST))[0] == 0
    until(lambda: set(service.status()["projects"]) == set(map(str, projects[:2])), service)
    code, said = service.command("projects", "add", str(GHOST))
    assert code == 1
    assert f"read project {GHOST}" in said


def test_commands_name_the_project_that_they_are_about(
    service: Service, projects: list[int]
) -> None:
    code, said = service.command("status")
    assert code == 2
    assert "--project" in said
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cvat_bridge.cli", "--project", str(projects[1]), "status"),
            *("--config", str(service.path), "--json"),
        ],
        env=service.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["project"] == projects[1]


def test_a_service_that_was_killed_goes_on_with_each_project(
    client: Client, service: Service, projects: list[int], sandbox: Sandbox
) -> None:
    service.process.kill()
    service.process.wait()

    again = Service(service.path, sandbox)
    service.process = again.process
    until(lambda: "projects" in service.status(), service)
    until(
        lambda: all(
            row["loop"].startswith("people have") for row in service.status()["projects"].values()
        ),
        service,
    )

    assert [len(round_tasks(client, one)) for one in projects] == [1, 1, 1]
    service.stop()
