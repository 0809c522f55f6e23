"""Many projects in one service: what each is configured as, and loops that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cvat_bridge.cli.config_faults import read_checked
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.projects import change, chosen, load_project, load_served
from cvat_bridge.running import follow_configuration
from cvat_bridge.service.figures import LoopFigures
from cvat_bridge.service.projects import ProjectLoops
from cvat_bridge.service.service import TickResult
from tests.patience import patience

SEVERAL = """
home: state
cvat: {url: "http://cvat.example"}
active_learning: {budget: 30}
trainer: {extra: {steps: 9, width: 8}}
projects:
  - id: 3
  - id: 5
    paused: true
    organization: lab
    active_learning: {budget: 100}
    trainer: {epochs: 4, extra: {steps: 7}}
    function_host: {name: Cells}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "cvat-bridge.yaml"
    file.write_text(SEVERAL, encoding="utf-8")
    return file


def test_each_project_has_what_all_share_and_what_is_its_own(path: Path) -> None:
    three, five = load_served(path).projects

    assert [three.id, three.paused, five.id, five.paused] == [3, False, 5, True]
    assert three.config.active_learning.budget == 30
    assert five.config.active_learning.budget == 100
    assert five.config.trainer.epochs == 4
    assert five.config.trainer.extra == {"steps": 7, "width": 8}
    assert (five.config.cvat.url, five.config.cvat.organization) == ("http://cvat.example", "lab")
    assert five.config.function_host.name == "Cells"
    ids = [row.config.function_host.function_id for row in (three, five)]
    assert ids == ["champion-3", "champion-5"]


def test_records_lie_apart_and_models_together(path: Path) -> None:
    three, five = (Home.of(row.config) for row in load_served(path).projects)
    root = path.parent / "state"

    assert three.ledger == root / "projects" / "3" / "ledger.db"
    assert five.runs == root / "projects" / "5" / "runs"
    assert three.bundles == five.bundles == root / "bundles"
    assert three.functions == five.functions == root / "functions"
    assert three.mlflow_url == five.mlflow_url == f"sqlite:///{root / 'mlflow.db'}"
    assert three.webhook_secret() == five.webhook_secret()


def test_the_project_of_old_keeps_its_folder_and_its_name_beside_others(path: Path) -> None:
    path.write_text(SEVERAL.replace("cvat: {", "cvat: {project: 9, "), encoding="utf-8")

    nine = load_served(path).of(9).config

    assert (nine.home, nine.library) == (path.parent / "state", None)
    assert nine.function_host.function_id == "champion"
    assert load_served(path).of(3).config.library == nine.home


def test_a_configuration_of_one_project_is_read_as_before(path: Path) -> None:
    path.write_text("cvat: {project: 9}", encoding="utf-8")

    assert load_project(path).project_id == 9


def test_a_command_is_about_the_project_that_was_chosen(path: Path) -> None:
    token = chosen.set(5)
    try:
        assert load_project(path).project_id == 5
    finally:
        chosen.reset(token)
    with pytest.raises(ConfigError, match=r"--project ID.*there are 3, 5"):
        load_project(path)


def test_every_fault_names_its_project(path: Path) -> None:
    path.write_text(
        SEVERAL.replace("budget: 100", "budgte: 1").replace("epochs: 4", "epochs: 0"),
        encoding="utf-8",
    )

    with pytest.raises(ConfigError) as caught:
        load_served(path)

    told = str(caught.value)
    assert len(caught.value.faults) == 2
    assert "project 5: active_learning.budgte: " in told
    assert "budget" in told
    assert "project 5: trainer.epochs " in told


def test_check_looks_up_the_names_of_each_project(path: Path) -> None:
    path.write_text(SEVERAL.replace("epochs: 4", "backend: yolov8"), encoding="utf-8")

    with pytest.raises(ConfigError, match=r"project 5: trainer.backend: no backend 'yolov8'"):
        read_checked(path)


def test_a_project_that_stands_there_twice_is_a_fault(path: Path) -> None:
    path.write_text(SEVERAL.replace("id: 5", "id: 3"), encoding="utf-8")

    with pytest.raises(ConfigError, match="3 stands there twice"):
        load_served(path)


def test_commands_add_pause_and_remove(path: Path) -> None:
    home = load_served(path).shared.home

    change(home, 8, "active", organization="lab")
    change(home, 3, "paused")
    change(home, 5, "removed")
    found = load_served(path)

    assert [(row.id, row.paused, row.origin) for row in found.projects] == [
        (3, True, "configuration"),
        (8, False, "command"),
    ]
    assert found.of(8).config.cvat.organization == "lab"
    change(home, 8, "paused")
    assert load_served(path).of(8).config.cvat.organization == "lab"


def test_a_damaged_file_of_projects_is_named(path: Path) -> None:
    home = load_served(path).shared.home
    home.mkdir()
    (home / "projects.json").write_text('{"3": {"state": "asleep"}}', encoding="utf-8")

    with pytest.raises(ConfigError, match=r"projects\.json: cannot be read"):
        load_served(path)


class Watched:
    """What looks at projects: notes who was looked at, and fails where it is told to."""

    def __init__(self) -> None:
        self.looks: dict[int, int] = {}
        self.closed: list[int] = []
        self.broken: set[int] = set()
        self.hanging: dict[int, threading.Event] = {}

    @contextmanager
    def open(self, project: int, _report: object) -> Iterator[Watched]:
        if project in self.broken:
            raise RuntimeError(f"project {project} is not there")
        try:
            yield _One(self, project)  # type: ignore[misc]
        finally:
            self.closed.append(project)


class _One:
    def __init__(self, watched: Watched, project: int) -> None:
        self.watched, self.project = watched, project

    def look(self) -> TickResult:
        if self.project in self.watched.hanging:
            self.watched.hanging[self.project].wait(60)
        count = self.watched.looks.get(self.project, 0)
        self.watched.looks[self.project] = count + 1
        return TickResult(acted=False, reason="rests")


def until(condition: object) -> bool:
    deadline = time.monotonic() + patience(20)
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.01)
    return bool(condition())  # type: ignore[operator]


def test_projects_come_and_go_and_a_failing_or_busy_one_delays_no_other() -> None:
    watched = Watched()
    watched.broken, busy = {2}, threading.Event()
    watched.hanging[3] = busy
    wanted = {1: 1, 2: 2, 3: 3}
    loops = ProjectLoops(
        lambda: wanted,
        watched.open,
        asked=lambda _: False,
        poll_seconds=0.05,
        figures=LoopFigures(CollectorRegistry()),
    )
    loops.settle()
    try:
        assert until(lambda: watched.looks.get(1, 0) >= 3 and loops.loops()[2].failures >= 2)
        assert "project 2 is not there" in loops.loops()[2].reason
        assert 3 not in watched.looks  # it is under way, and the others went on

        watched.broken.clear()
        wanted[4] = 4
        loops.settle()
        assert until(lambda: watched.looks.get(4, 0) and watched.looks.get(2, 0))

        del wanted[1]
        loops.settle()
        assert until(lambda: 1 in watched.closed)
        count = watched.looks[1]
        time.sleep(0.2)
        assert watched.looks[1] == count
    finally:
        busy.set()
        loops.stop()
    assert until(lambda: sorted(watched.closed) == [1, 2, 3, 4])


def test_what_cannot_be_read_changes_nothing_that_runs() -> None:
    watched, wanted = Watched(), {1: 1}

    def read() -> dict[int, int]:
        if not wanted:
            raise ConfigError(["half of a file"])
        return wanted

    loops = ProjectLoops(
        read,
        watched.open,
        asked=lambda _: False,
        poll_seconds=0.05,
        figures=LoopFigures(CollectorRegistry()),
    )
    loops.settle()
    assert until(lambda: watched.looks.get(1, 0) > 0)
    wanted.clear()
    loops.settle()
    count = watched.looks[1]

    assert until(lambda: watched.looks[1] > count + 1)
    loops.stop()


def test_a_running_service_reads_its_files_again_when_they_change(path: Path) -> None:
    served = load_served(path)
    active = follow_configuration(path, served)
    assert sorted(active()) == [3]

    change(served.shared.home, 5, "active")
    assert sorted(active()) == [3, 5]
    path.write_text(SEVERAL.replace("budget: 30", "budget: 31"), encoding="utf-8")
    assert active()[3].active_learning.budget == 31
