"""A bridge over a server in memory, whose home a test may damage between two starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cvat_bridge.assembly import Bridge, durable_of, round_settings, start_bridge
from cvat_bridge.config import Config
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.parts import Parts
from cvat_bridge.recovery.command import RestoreOutcome, restore_with
from cvat_bridge.settings import RoundSettings
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.registry import FakeRegistry
from tests.fakes.server import FakeServer

BUDGET, FRAMES = 2, 8
LATER = "2026-03-01T00:00:00Z"


@dataclass
class Site:
    """A project on a server, and one bridge's home and configuration."""

    server: FakeServer
    gateway: FakeGateway
    config: Config
    registry: FakeRegistry

    @property
    def home(self) -> Home:
        return Home(self.config.home)

    @property
    def project_id(self) -> int:
        return self.config.project_id

    @property
    def settings(self) -> RoundSettings:
        return replace(round_settings(self.config), write_guide=False)

    @contextmanager
    def bridge(self) -> Iterator[Bridge]:
        with self.home.held(), Ledger(self.home.ledger) as ledger:
            parts = Parts(
                config=self.config,
                settings=self.settings,
                gateway=self.gateway,
                ledger=ledger,
                home=self.home,
                registry=self.registry,  # type: ignore[arg-type]  # in memory
            )
            with (
                durable_of(self.config, [self.config]) as durable,
                start_bridge(parts, durable) as bridge,
            ):
                durable.launch()
                yield bridge

    def round(self) -> int:
        """Run a round; return its task."""
        with self.bridge() as bridge:
            return int(bridge.run_round().answers["prioritise"]["task_id"])

    def restore(self) -> RestoreOutcome:
        with self.home.held():
            return restore_with(self.gateway, self.config, now=lambda: LATER)

    def other_home(self, folder: Path) -> Site:
        return replace(self, config=self.config.model_copy(update={"home": folder}))

    def out(self) -> list[str]:
        """Return the images in the tasks of rounds, by their content."""
        rounds = [t for t in self.server.tasks.values() if "[loop" in t.task.name]
        return sorted(str(hash(content)) for stored in rounds for content in stored.files)


def a_site(folder: Path) -> Site:
    """Make a project with one task, and the configuration of a bridge for it."""
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    server.add_task(project.id, {f"{n}.png": picture(n) for n in range(FRAMES)}, segment_size=4)
    config = Config.model_validate(
        {
            "home": folder / "home",
            "cvat": {"url": "http://cvat.example", "project": project.id},
            "active_learning": {"budget": BUDGET},
            "rounds": {"job_size": 1},
        }
    )
    return Site(server, FakeGateway(server), config, FakeRegistry())


def finish(site: Site, *, copies: bool = True, most: int = 99) -> None:
    """Finish the open jobs of rounds, or of the task that the project began with."""
    label = site.server.labels[site.project_id][0].id
    for job in list(site.server.jobs.values()):
        of_round = "[loop" in site.server.tasks[job.task_id].task.name
        if job.state != "completed" and of_round == copies and most > 0:
            box = {"frame": job.start_frame, "label_id": label, "points": [1, 1, 9, 9]}
            site.server.annotate(job.id, shapes=[{"type": "rectangle", **box}])
            site.server.finish(job.id)
            most -= 1


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return a_site(tmp_path)
