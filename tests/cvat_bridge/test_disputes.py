"""Labels that a model disputes: found on frames it did not learn from, pinned once in CVAT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvat_bridge.errors import NothingToDoError
from cvat_bridge.mistakes.disputes import dispute, raise_issues
from cvat_bridge.mistakes.ranking import DisputedFrame, cautions
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import pull
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.convert import LabelledObject
from tests.fakes.detector import ToldDetector
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer
from trainer.detections import Detections

pytest.importorskip("cleanlab", reason="the optional extra that scores mistakes")

SETTINGS = RoundSettings(holdout_share=0.0)
LEFT, RIGHT, SHIFTED = (2.0, 3.0, 18.0, 20.0), (30.0, 4.0, 46.0, 22.0), (8.0, 9.0, 24.0, 26.0)
SEEN = [("cell", 0.95, LEFT), ("dust", 0.9, RIGHT)]
# What people marked, frame by frame of the second task, which the model has not learnt from.
MARKED = [
    [("cell", LEFT), ("dust", RIGHT)],
    [("cell", LEFT)],
    [("dust", LEFT), ("dust", RIGHT)],
    [("cell", SHIFTED), ("dust", RIGHT)],
]
PICTURES = [picture(n) for n in range(8)]


class World:
    """A task that the model learnt from and one that it did not, both finished."""

    def __init__(self, ledger, home, now):
        self.server, self.ledger, self.home, self.now = FakeServer(), ledger, home, now
        self.project = self.server.add_project("cells", ["cell", "dust", "scratch"])
        self.learnt = self.task(range(4), [[("dust", LEFT)]] * 4)  # wrong, yet never judged
        self.gateway = FakeGateway(self.server)
        facts = gather(self.gateway, ledger, self.project.id, SETTINGS)
        self.dataset = pull(
            self.gateway, ledger, facts, home=home, settings=SETTINGS, now=now
        ).dataset
        self.told = ToldDetector(["cell", "dust"], dict.fromkeys(PICTURES, SEEN))

    def task(self, numbers, marked):
        images = {f"{n}.png": PICTURES[n] for n in numbers}
        task = self.server.add_task(self.project.id, images, segment_size=2)
        for job in self.server.jobs_of(task.id):
            for frame in range(job.start_frame, job.stop_frame + 1):
                shapes = [
                    {
                        "type": "rectangle",
                        "frame": frame,
                        "label_id": self.server.label(self.project.id, name).id,
                        "points": list(box),
                    }
                    for name, box in marked[frame]
                ]
                self.server.annotate(job.id, shapes=shapes)
            self.server.finish(job.id)
        return task

    def dispute(self, *, task=None):
        facts = gather(self.gateway, self.ledger, self.project.id, SETTINGS)
        jobs = tuple(job for job in facts.jobs if task in (None, job.task_id))
        return dispute(
            self.gateway,
            self.ledger,
            replace(facts, jobs=jobs),
            home=self.home,
            settings=SETTINGS,
            detector=self.told,
            model="m1",
            learnt_from=self.dataset,
        )


@pytest.fixture
def world(ledger, home, now):
    return World(ledger, home, now)


def test_each_planted_mistake_is_named_with_its_place_and_reason(world):
    task = world.task(range(4, 8), MARKED)

    found = world.dispute()

    assert {(s.task_id, s.frame, s.kind, s.label, s.instead) for s in found.suspects} == {
        (task.id, 1, "overlooked", "dust", ""),
        (task.id, 2, "swapped", "dust", "cell"),
        (task.id, 3, "badly placed", "cell", ""),
    }
    by_kind = {one.kind: one for one in found.suspects}
    assert by_kind["overlooked"].position == (30, 4, 46, 22)
    assert by_kind["overlooked"].reason == "the model sees a dust (0.90) where nobody marked one"
    assert by_kind["swapped"].reason == "marked dust; the model sees cell in its place (0.95)"
    assert by_kind["badly placed"].reason.startswith("the cell overlaps the nearest one")
    jobs = {job.id: job for job in world.server.jobs_of(task.id)}
    for one in found.suspects:
        assert jobs[one.job_id].start_frame <= one.frame <= jobs[one.job_id].stop_frame
    assert by_kind["overlooked"].cvat_id is None
    assert by_kind["swapped"].cvat_id in {
        shape["id"] for shape in world.server.annotations[by_kind["swapped"].job_id].shapes
    }


def test_frames_that_the_model_learnt_from_are_never_judged(world):
    """Their labels are as wrong as can be, and a model would only repeat them."""
    world.task(range(4, 8), MARKED)

    found = world.dispute()

    assert (found.judged, found.learnt, found.unread) == (4, 4, 0)
    assert world.learnt.id not in {one.task_id for one in found.suspects}
    with pytest.raises(NothingToDoError, match="has learnt from all 4 finished frames"):
        world.dispute(task=world.learnt.id)


def test_a_frame_with_a_label_that_the_model_does_not_know_is_counted_not_judged(world):
    world.task(range(4, 6), [[("scratch", LEFT)], MARKED[0]])

    found = world.dispute()

    assert (found.judged, found.unknown, found.suspects) == (1, 1, ())


def test_issues_are_pinned_once(world):
    world.task(range(4, 8), MARKED)

    first = raise_issues(world.gateway, world.dispute().suspects)
    again = raise_issues(world.gateway, world.dispute().suspects)

    assert first == again
    assert len(world.server.issues) == len(first) == 3
    assert {issue["message"].split("?")[0] for issue in world.server.issues.values()} == {
        "cvat-bridge: is a dust missing here",
        "cvat-bridge: is this dust a cell",
        "cvat-bridge: does this cell fit its object",
    }


def marked_objects(rows):
    rest = ("rectangle", (), None, "manual", 1.0, 1)
    return tuple(LabelledObject(name, rest[0], box, *rest[1:]) for name, box in rows)


def unsure_answer():
    boxes = np.array([LEFT, RIGHT], np.float32)
    return Detections(boxes, np.array([0.4, 0.3], np.float32), np.array([0, 1]))


def test_a_weak_or_uncalibrated_model_is_said_to_be(world):
    world.task(range(4, 8), MARKED)
    strong = world.dispute()
    frames = [
        DisputedFrame(1, 2, n, marked_objects(marked), unsure_answer())
        for n, marked in enumerate(MARKED)
    ]
    weak = cautions(frames, ["cell", "dust"], calibrated=True)

    assert [text for text in strong.cautions if "not calibrated" in text] != []
    assert [text for text in strong.cautions if "weak" in text] == []
    assert len(weak) == 1
    assert "it surely finds 0 of the 7 labelled objects (0%)" in weak[0]
