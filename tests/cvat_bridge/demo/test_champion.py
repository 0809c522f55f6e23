"""The demo asks CVAT for its champion: sandbox and function host as processes, a bundle by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest

from cvat_bridge.demo.arm import ArmPlan, run_arm
from cvat_bridge.demo.calls import Calls
from cvat_bridge.demo.champion import Champion, look_for_champion
from cvat_bridge.demo.ground_truth import GroundTruth
from cvat_bridge.demo.project import Prepared, prepare
from cvat_bridge.errors import BridgeError
from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from serverless.store.functions import Entry, FunctionLabel, publish, withdraw
from tests.serverless.bright_spots import bright_spots, picture
from trainer.bundles.bundle import Bundle


@dataclass
class World:
    calls: Calls
    prepared: Prepared
    store: Path
    bundle: Bundle

    def serve(self, **more: object) -> None:
        """Put the model into the store, as a round does."""
        labels = (FunctionLabel("red", "red", "rectangle"),)
        entry = Entry("loop-champion", "detector", "Champion", self.described,
                      self.bundle.path, self.bundle.version, labels)  # fmt: skip
        publish(self.store, replace(entry, **more))

    @property
    def described(self) -> str:
        return f"Version 1 ({self.bundle.version[:12]}), learnt in CVAT"

    def look(self, frames: tuple[int, ...] = (0, 1)) -> Champion:
        return look_for_champion(
            self.calls,
            "loop-champion",
            version=self.bundle.version,
            task_id=self.prepared.task_id,
            frames=frames,
            labels=self.prepared.labels,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("champion")
    files = []
    for number, spots in enumerate([[(1, 1, 0)], [(4, 4, 0), (6, 2, 0)], []]):
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), picture(*spots)[..., ::-1])
    nothing = {hashlib.sha256(path.read_bytes()).hexdigest(): () for path in files}
    truth = GroundTruth(("red",), nothing, tuple(files[:2]), (files[2],))
    store = folder / "functions"
    with (
        hosting(store, builtin=False, log=folder / "host.log") as host,
        running(folder / "sandbox", function_host=host) as sandbox,
    ):
        yield World(
            Calls(sandbox.url, token=sandbox.admin_token),
            prepare(sandbox.url, sandbox.admin_token, "p", truth),
            store,
            bright_spots(folder / "spots", gain=8.0),
        )


def test_a_champion_that_serves_is_listed_and_answers(world):
    world.serve()

    found = world.look()

    assert (found.listed, found.answers, found.fault) == (True, True, "")
    assert [len(found.found[frame]) for frame in (0, 1)] == [1, 2]
    assert {one.label for one in found.found[1]} == {"red"}


def test_a_store_that_the_host_does_not_read_is_told(world):
    """What the demo once did in silence: the bridge wrote to another folder."""
    withdraw(world.store, "loop-champion")

    found = world.look()

    assert (found.listed, found.answers) == (False, False)
    assert "does not hold loop-champion" in found.fault
    assert "read the store that the bridge writes" in found.fault


def test_an_older_version_in_the_list_is_told(world):
    world.serve(description="Version 1 (another), learnt in CVAT")

    found = world.look()

    assert found.listed is False
    assert world.bundle.version[:12] in found.fault


def test_a_champion_that_fails_is_listed_but_does_not_answer(world, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    world.serve(bundle=broken, version="gone", description=world.described)

    found = world.look()

    assert (found.listed, found.answers) == (True, False)
    assert "does not answer" in found.fault


def test_findings_that_cvat_drops_are_a_fault(world):
    """A label that the project does not have vanishes in CVAT without a word."""
    world.serve(labels=(FunctionLabel("red", "crimson", "rectangle"),))

    found = world.look()

    assert (found.listed, found.answers) == (True, False)
    assert "finds nothing in 2 frames" in found.fault


def test_without_a_promotion_there_is_nothing_to_look_for(world):
    found = look_for_champion(
        world.calls, "loop-champion", version=None, task_id=1, frames=(), labels={}
    )

    assert (found.listed, found.answers) == (None, None)
    assert "no model was promoted" in found.fault


def test_an_arm_refuses_a_store_that_two_processes_would_read_differently(world, tmp_path):
    with pytest.raises(BridgeError, match="must be absolute: functions"):
        run_arm(
            "loop",
            {},
            url="http://127.0.0.1:9",
            token="none",
            prepared=world.prepared,
            annotator=None,
            store=Path("functions"),
            folder=tmp_path,
            host_url="http://127.0.0.1:9",
            plan=ArmPlan(1, 10, {}),
            on_round=lambda *_: None,
            on_retry=lambda _: None,
        )
