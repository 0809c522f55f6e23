"""Disputed labels become issues of a CVAT server, over HTTP, and are never doubled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cvat_sdk.core.client import Client
from cvat_sdk.core.proxies.tasks import ResourceType

from cvat_bridge.cvat.client import connect
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.mistakes.disputes import dispute, raise_issues
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import pull
from cvat_bridge.sandbox import Sandbox
from cvat_bridge.settings import RoundSettings
from tests.fakes.detector import ToldDetector

pytest.importorskip("cleanlab", reason="the optional extra that scores mistakes")

SETTINGS = RoundSettings(holdout_share=0.0)
BOX, FAR = (5.0, 6.0, 25.0, 28.0), (40.0, 20.0, 60.0, 44.0)


@pytest.fixture(scope="module")
def project(sandbox: Sandbox, client: Client, images: tuple[Path, ...]) -> int:
    """A finished task of three frames: a car, marked a bus in the second, missing in the third."""
    labels = [{"name": name, "type": "rectangle"} for name in ("car", "bus")]
    project = client.projects.create({"name": "disputed", "labels": labels})
    ids = {label.name: label.id for label in project.get_labels()}
    task = client.tasks.create_from_data(
        {"name": "three", "project_id": project.id},
        resources=list(images[:3]),
        resource_type=ResourceType.LOCAL,
    )
    (job,) = task.get_jobs()
    shapes = [
        {"type": "rectangle", "frame": frame, "label_id": ids[name], "points": list(box)}
        for frame, name, box in (
            *((0, "car", BOX), (1, "bus", BOX)),
            *((frame, "bus", FAR) for frame in range(3)),
        )
    ]
    for path, body in (
        (f"/api/jobs/{job.id}/annotations?action=create", {"version": 0, "shapes": shapes}),
        (f"/api/jobs/{job.id}", {"stage": "acceptance", "state": "completed"}),
    ):
        body = {"tags": [], "tracks": [], **body} if "shapes" in body else body
        answer = requests.patch(
            sandbox.url + path,
            json=body,
            headers={"Authorization": f"Bearer {sandbox.admin_token}"},
            timeout=120,
        )
        assert answer.ok, answer.text
    return int(project.id)


def test_issues_stand_at_the_place_and_are_not_doubled(
    sandbox: Sandbox, project: int, images: tuple[Path, ...], tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    told = ToldDetector(
        ["car", "bus"],
        {path.read_bytes(): [("car", 0.9, BOX), ("bus", 0.8, FAR)] for path in images[:3]},
    )
    with (
        connect(sandbox.url, token=sandbox.admin_token, cache_dir=home.chunks) as gateway,
        Ledger(home.ledger) as ledger,
    ):
        facts = gather(gateway, ledger, project, SETTINGS)
        learnt = pull(
            gateway, ledger, facts, home=home, settings=SETTINGS, now=lambda: "2026-01-01"
        ).dataset

        def look(learnt_from):
            return dispute(
                gateway,
                ledger,
                facts,
                home=home,
                settings=SETTINGS,
                detector=told,
                model="m1",
                learnt_from=learnt_from,
            )

        with pytest.raises(NothingToDoError, match="learnt from all 3"):
            look(learnt)
        found = look(replace(learnt, images=()))
        numbers = [raise_issues(gateway, found.suspects) for _ in range(2)]

    rows = requests.get(
        f"{sandbox.url}/api/issues",
        params={"task_id": facts.jobs[0].task_id},
        headers={"Authorization": f"Bearer {sandbox.admin_token}"},
        timeout=120,
    ).json()["results"]
    assert [(one.frame, one.kind) for one in sorted(found.suspects, key=lambda s: s.frame)] == [
        (1, "swapped"),
        (2, "overlooked"),
    ]
    assert numbers[0] == numbers[1]
    assert {row["id"] for row in rows} == set(numbers[0].values())
    assert sorted((row["frame"], row["position"]) for row in rows) == [
        (1, list(BOX)),
        (2, list(BOX)),
    ]
