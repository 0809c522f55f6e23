"""What is tried against the bridge: damage to its home, and a CVAT that acts late."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from active_learning.errors import ActiveLearningError
from cvat_bridge.cvat.client import connect
from cvat_bridge.cvat.gateway import LocalFile, NewTask
from cvat_bridge.errors import BridgeError
from cvat_bridge.sandbox import running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures, unique
from tests.cvat_bridge.recovery.conftest import a_site, finish
from tests.cvat_bridge.recovery.damage import DAMAGES, FILES, damaged, take_the_way_back, work
from tests.fakes.gateway import FakeGateway
from tests.fakes.late import LateProxy
from tests.fakes.scripted import Asked, scripted
from tests.faults.campaign import Line
from trainer.errors import TrainerError

_OURS = (BridgeError, TrainerError, ActiveLearningError)
_LATE: tuple[Callable[[Asked], bool], ...] = (
    lambda asked: (asked.method, asked.path) == ("POST", "/api/tasks"),
    lambda asked: asked.method == "PATCH" and asked.path.endswith("/annotations"),
)


def homes(folder: Path, most: int) -> Line:
    """Damage each file of a home in each way; work must end the same, perhaps after the way back.

    most: how many of the damages, evenly chosen.
    """
    line = Line("files of the home gone or damaged")
    site = a_site(folder / "worked")
    finish(site, copies=False, most=1)
    site.round()
    site.home.webhook_secret()
    site.home.service_token()
    kinds = [(file, damage) for file in sorted(FILES) for damage in sorted(DAMAGES)]
    expected = None
    for n, (file, damage) in enumerate([("", ""), *kinds[:: max(1, len(kinds) // most)]]):
        shutil.copytree(site.home.root, folder / f"home-{n}")
        server = copy.deepcopy(site.server)
        one = site.other_home(folder / f"home-{n}")
        one = replace(one, server=server, gateway=FakeGateway(server))
        if expected is None:
            expected = work(one)
            continue
        path, told = damaged(one.home.root, file, damage), ""
        try:
            try:
                found = work(one)
            except _OURS as error:
                told = str(error)
                take_the_way_back(one, path, told)
                found = work(one)
            line.count(found == expected, f"{file}, {damage}: another end ({told})")
        except Exception as error:  # noqa: BLE001 whatever it is, it did not hold
            line.count(False, f"{file}, {damage}: {type(error).__name__}: {error}")
    return line


def late_writes(folder: Path, count: int, seed: int = 0) -> Line:
    """Let CVAT carry out late what was given up; in the end there must be one of everything."""
    line = Line("requests that CVAT carried out late")
    dice = random.Random(seed)
    with running(folder / "sandbox") as sandbox:
        stage = HttpStage(sandbox.url, folder / "stage", token=sandbox.admin_token, login=None)
        project = stage.add_project(LABELS)
        label = stage.gateway.labels(project_id=project)[0].id
        for n in range(count):
            proxy = LateProxy(sandbox.url)
            proxy.meant = _LATE[n % len(_LATE)]
            marker = unique("late")
            files = tuple(LocalFile(name, data) for name, data in pictures(1).items())
            spec = NewTask(marker, marker, project, ((files[0].name,),), files)
            shapes = [
                {
                    "type": "rectangle",
                    "frame": 0,
                    "label_id": label,
                    "points": [float(k), 1.0, k + 2.5, 4.0],
                    "source": "auto",
                    "score": 0.5,
                }
                for k in range(dice.randrange(1, 30))
            ]
            with (
                scripted(proxy) as server,
                connect(
                    server.url, token=sandbox.admin_token, cache_dir=folder / "cache", patience=60
                ) as gateway,
            ):
                made = gateway.create_task(spec)
                (job,) = gateway.jobs(task_id=made.id)
                gateway.create_annotations(job.id, shapes=shapes)
            tasks = [task for task in stage.gateway.tasks(project) if marker in task.name]
            held = stage.gateway.annotations(job.id).shapes
            line.count(
                proxy.done == 1 and len(tasks) == 1 and len(held) == len(shapes),
                f"{len(tasks)} tasks, {len(held)} of {len(shapes)} objects, late: {proxy.done}",
            )
        stage.close()
    return line
