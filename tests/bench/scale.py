"""What many tasks, and many projects, cost: requests to CVAT, counted at a server over HTTP.

    python -m tests.bench.scale [--tasks 200 2000] [--projects 50]

The server answers from a few numbers, without images: projects of tasks of five frames each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvat_bridge.assembly import Bridge, assemble, durable_of, open_bridge
from cvat_bridge.config import Config, Secrets
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Round
from tests.bench.figures import Figure, write
from tests.bench.scaling.hosts import swap_all_hosts
from tests.bench.scaling.rounds import rounds
from tests.bench.scaling.workers import workers
from tests.fakes.scripted import Answer, Asked, Scripted, scripted

PARTS = ("looks", "projects", "hosts", "workers", "rounds")
FRAMES = 5  # of a task
_DAY = "2026-01-01T00:00:00.000000Z"


@dataclass
class SyntheticCvat:
    """Projects 1, 2, … of so many tasks each, as CVAT 2.73 shows them. A task has one job."""

    tasks: int
    projects: int = 1
    changed: dict[int, str] = field(default_factory=dict)  # date by task
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, asked: Asked) -> Answer:
        """Answer a request."""
        _, _, *words = asked.path.split("/")
        self.asked["/".join(word for word in words if not word.isdigit())] += 1
        match words:
            case ["server", "about"]:
                return Answer(body={"name": "CVAT", "version": "2.73.0"})
            case ["users", "self"]:
                return Answer(body={"id": 1, "username": "bridge"})
            case ["projects", number]:
                return Answer(body=self._project(int(number)))
            case ["tasks" | "jobs" as kind]:
                ids = self._ids(int(asked.query["project_id"]))
                row = self._task if kind == "tasks" else self._job
                return self._page([row(i) for i in ids], asked)
            case ["labels"]:
                label = {"id": 1, "name": "cell", "type": "rectangle", "attributes": []}
                return self._page([label], asked)
            case ["tasks", number]:
                return Answer(body=self._task(int(number)))
            case ["tasks", number, "data", "meta"]:
                return Answer(body=self._meta(int(number)))
            case ["jobs", _, "annotations"]:
                return Answer(body={"tags": [], "shapes": [], "tracks": [], "version": 0})
        return Answer(404, {"detail": "Not found."})

    def touch(self, task: int) -> None:
        """Change a task and its job, as a person who saves does."""
        self.changed[task] = f"2026-02-01T00:00:{len(self.changed):02}.000000Z"

    def _ids(self, project: int) -> range:
        return range((project - 1) * self.tasks + 1, project * self.tasks + 1)

    def _page(self, rows: list[dict[str, Any]], asked: Asked) -> Answer:
        if asked.query.get("sort") == "-updated_date":
            rows = sorted(rows, key=lambda row: str(row["updated_date"]), reverse=True)
        size, page = int(asked.query["page_size"]), int(asked.query.get("page", 1))
        shown = rows[(page - 1) * size : page * size]
        more = page * size < len(rows)
        return Answer(body={"count": len(rows), "next": "more" if more else None, "results": shown})

    def _project(self, number: int) -> dict[str, Any]:
        return {"id": number, "name": f"project {number}", "updated_date": _DAY, "owner": None}

    def _dates(self, task: int) -> dict[str, str]:
        return {"updated_date": self.changed.get(task, _DAY), "created_date": _DAY}

    def _task(self, number: int) -> dict[str, Any]:
        return {
            **self._dates(number),
            "id": number,
            "name": f"task {number}",
            "project_id": (number - 1) // self.tasks + 1,
            "size": FRAMES,
            "mode": "annotation",
            "dimension": "2d",
            "consensus_enabled": False,
            "data_chunk_size": 36,
        }

    def _job(self, number: int) -> dict[str, Any]:
        return {
            **self._dates(number),
            "id": number,
            "task_id": number,
            "type": "annotation",
            "stage": "annotation",
            "project_id": (number - 1) // self.tasks + 1,
            "state": "new",
            "assignee": None,
            "start_frame": 0,
            "stop_frame": FRAMES - 1,
            "frame_count": FRAMES,
        }

    def _meta(self, number: int) -> dict[str, Any]:
        frames = [{"name": f"{number}_{n}.jpg", "width": 640, "height": 480} for n in range(FRAMES)]
        return {
            "size": FRAMES,
            "start_frame": 0,
            "stop_frame": FRAMES - 1,
            "frame_filter": "",
            "chunk_size": 36,
            "frames": frames,
            "deleted_frames": [],
            "storage": "local",
            "chunks_updated_date": _DAY,
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write tests/bench/results/scale.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--data", help="not used; the server is synthetic")
    parser.add_argument("--tasks", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--frames", type=int, default=96, help="that workers read")
    parser.add_argument("--size", type=int, default=8, help="frames of a piece of that work")
    parser.add_argument(
        "--pool", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="frames of rounds"
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    given = parser.parse_args(arguments)
    figures = []
    if "looks" in given.only:
        figures += [figure for tasks in given.tasks for figure in looks(tasks)]
    if "projects" in given.only:
        figures.append(projects_overhead(given.projects))
    if "hosts" in given.only:
        with tempfile.TemporaryDirectory() as folder:
            figures.append(swap_all_hosts(Path(folder)))
    if "workers" in given.only:
        with tempfile.TemporaryDirectory() as folder:
            figures += workers(Path(folder), frames=given.frames, size=given.size)
    if "rounds" in given.only:
        figures += rounds(given.pool)
    write("scale", figures)


def looks(tasks: int) -> list[Figure]:
    """Count the requests of a first look, of an idle one, and of one after a job changed."""
    cvat = SyntheticCvat(tasks)
    with scripted(cvat) as server, tempfile.TemporaryDirectory() as folder:
        config = _config(server, Path(folder), 1, alone=True)
        with assemble(config, _SECRETS) as bridge:
            first = _requests(bridge, server)
            idle = _requests(bridge, server)
            cvat.touch(tasks // 2)
            changed = _requests(bridge, server)
        with assemble(config, _SECRETS) as bridge:
            restarted = _requests(bridge, server)
    return [
        Figure(f"idle_requests/{tasks}", idle, "requests", note="a look where nothing happened"),
        Figure(
            f"changed_requests/{tasks}",
            changed,
            "requests",
            note="a look after one job was saved; lists come in pages of 200",
        ),
        Figure(
            f"restart_requests/{tasks}",
            restarted,
            "requests",
            peer="first look of an empty home",
            peer_value=first,
            ratio=restarted / first,
            note="the first look of a service that was started again",
        ),
    ]


def projects_overhead(count: int) -> Figure:
    """Compare an idle look at each of many projects in one service with one project alone."""
    cvat = SyntheticCvat(tasks=20, projects=count)
    with scripted(cvat) as server, tempfile.TemporaryDirectory() as folder:
        configs = [
            _config(server, Path(folder), number, alone=False) for number in range(1, count + 1)
        ]
        home = Home.of(configs[0])
        with home.held(), durable_of(configs[0], configs) as durable, ExitStack() as stack:
            durable.launch()
            bridges = [
                stack.enter_context(open_bridge(config, _SECRETS, durable)) for config in configs
            ]
            _seconds(bridges)
            alone = min(_seconds(bridges[:1]) for _ in range(5))
            every = min(_seconds(bridges) for _ in range(3)) / count
    note = f"{count} projects of 20 tasks; cost of an idle look per project"
    return Figure(
        "projects_overhead", every, "s", "one project", alone, ratio=every / alone, note=note
    )


_SECRETS = Secrets.model_validate({"access_token": "secret"})


def _config(server: Scripted, folder: Path, project: int, *, alone: bool) -> Config:
    own = folder if alone else folder / "projects" / str(project)
    config = Config.model_validate(
        {
            "home": own,
            "library": None if alone else folder,
            "cvat": {"url": server.url, "project": project},
        }
    )
    with Ledger(Home.of(config).ledger) as ledger:
        # A round that chose nothing: now the loop waits for finished jobs.
        ledger.save_round(Round(1, project, "done", figures={"selected": 0}))
    return config


def _look(bridge: Bridge) -> None:
    outcome = bridge.look()
    assert not outcome.acted, outcome


def _requests(bridge: Bridge, server: Scripted) -> int:
    before = len(server.asked)
    _look(bridge)
    return len(server.asked) - before


def _seconds(bridges: Sequence[Bridge]) -> float:
    began = time.perf_counter()
    for bridge in bridges:
        _look(bridge)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
