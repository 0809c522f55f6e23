"""`cvat-bridge select` as a newcomer tries it: a list with reasons, and a contact sheet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvat_sdk.core.client import Client
from PIL import Image

from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Round
from cvat_bridge.sandbox import Sandbox


@pytest.fixture
def config(
    sandbox: Sandbox, client: Client, images: tuple[Path, ...], tmp_path: Path
) -> Iterator[Path]:
    labels = [{"name": "cell", "type": "rectangle"}]
    project = client.projects.create({"name": "choosing", "labels": labels})
    client.tasks.create_from_data(
        {"name": "five", "project_id": project.id}, images, data_params={"image_quality": 90}
    )
    path = tmp_path / "bridge.yaml"
    values = {
        "home": "home",
        "cvat": {"url": sandbox.url, "project": project.id},
        "active_learning": {"budget": 5, "control_share": 0.2, "control_warmup_frames": 0},
    }
    path.write_text(json.dumps(values))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CVAT_ACCESS_TOKEN", sandbox.admin_token)
        yield path


def select(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process: within this one it would rebind the log for later tests."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cvat-bridge"), "select", "--config", config, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_ranking_says_phase_strategy_and_reasons_and_draws_a_sheet(config: Path) -> None:
    sheet = config.parent / "next.png"

    found = json.loads(select(config, "--sheet", str(sheet), "--json").stdout)

    assert found["phase"] == "cold start"
    assert found["strategy"] == "typiclust"
    assert found["notes"]["phase"] == "no trusted model yet"
    assert [row["rank"] for row in found["frames"]] == [1, 2, 3, 4, 5]
    assert len({row["frame"] for row in found["frames"]}) == 5
    assert [row["arm"] for row in found["frames"]].count("control") == 1
    assert all(row["reason"] for row in found["frames"])
    with Image.open(sheet) as picture:
        assert picture.size == (5 * 240, 180)
        assert len(picture.getcolors(1 << 20) or ()) > 100


def test_a_person_reads_the_phase_the_strategy_named_in_the_config_and_why(config: Path) -> None:
    values = json.loads(config.read_text())
    values["active_learning"]["strategy"] = "k_center"
    config.write_text(json.dumps(values))

    done = select(config)

    assert "phase: set by hand; strategy: k_center" in done.stderr
    assert done.stdout.split()[:5] == ["rank", "frame", "worth", "arm", "reason"]
    assert len(done.stdout.splitlines()) >= 6


def test_after_three_rounds_it_says_what_the_next_labels_promise(config: Path) -> None:
    project = json.loads(config.read_text())["cvat"]["project"]
    with Ledger(Home(config.parent / "home").ledger) as ledger:
        for number, (labelled, ap) in enumerate(((10, 0.2), (20, 0.3), (40, 0.35)), start=1):
            figures = {"train": labelled, "challenger": {"ap": ap}}
            ledger.save_round(Round(number, project, "done", figures=figures))

    done = select(config)

    assert "the next 5 labels: about +0." in " ".join(done.stderr.split())
