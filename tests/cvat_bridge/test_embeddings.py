"""Whose embeddings a round compares frames by: a model's own, else an embedder's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from active_learning.choose import SelectionSettings
from active_learning.pool import ProjectState
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.loop.choosing import choose_frames
from cvat_bridge.loop.predict import predict
from cvat_bridge.project.facts import gather
from cvat_bridge.settings import RoundSettings
from tests.fakes.detector import ToldDetector
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer
from trainer.data.images import decode
from trainer.detections import Detections
from trainer.embedding import Descriptor
from trainer.embedding.descriptor import describe

PICTURES = [picture(n) for n in range(12)]
PIXELS = [decode(content) for content in PICTURES]


@dataclass
class ByNumber:
    """Places even pictures here, odd ones there; a little apart each. read: how many it saw."""

    name: str = "by-number"
    width: int = 4
    why: str = ""
    read: int = 0

    def embed(self, images):
        self.read += len(images)
        return np.array([self.place(image) for image in images], np.float32).reshape(-1, 4)

    def place(self, image):
        (number,) = (n for n, known in enumerate(PIXELS) if np.array_equal(known, image))
        return [10.0 * (number % 2), -10.0 * (number % 2), 0.01 * number, 1.0]


class Plain(ToldDetector):
    """A model without embeddings."""

    def detect(self, images, *, min_score):
        found = super().detect(images, min_score=min_score)
        return [replace(one, embedding=None) for one in found]


class World:
    def __init__(self, ledger, home):
        server = FakeServer()
        self.project = server.add_project("cells", ["cell"])
        files = {f"{n}.png": content for n, content in enumerate(PICTURES)}
        self.task = server.add_task(self.project.id, files, segment_size=4)
        self.gateway, self.ledger, self.home = FakeGateway(server), ledger, home
        self.settings = RoundSettings(budget=2, selection=SelectionSettings(control_share=0.0))
        self.embedder = ByNumber()

    def facts(self):
        return gather(self.gateway, self.ledger, self.project.id, self.settings)

    def predict(self, detector=None, model=None):
        return predict(
            *(self.gateway, self.ledger, self.facts()),
            home=self.home,
            settings=self.settings,
            detector=detector,
            model=model,
            embedder=lambda: self.embedder,
        )

    def choose(self, predicted, state):
        return choose_frames(
            *(self.ledger, self.facts(), predicted),
            number=1,
            home=self.home,
            settings=self.settings,
            state=state,
            record=False,
        )

    def sha256(self, number):
        return self.ledger.frames()[f"{self.task.id}/{number}"].sha256


@pytest.fixture
def world(ledger, home):
    return World(ledger, home)


def told(*, embeds):
    found = {content: [("cell", 0.6, (4.0, 5.0, 24.0, 25.0))] for content in PICTURES}
    return (ToldDetector if embeds else Plain)(["cell"], found)


def test_a_cold_start_compares_frames_by_the_embedder(world):
    """Two frames of two kinds: one of each, which the pictures' colours do not tell."""
    predicted = world.predict()
    chosen = world.choose(predicted, ProjectState())

    assert (predicted.model, predicted.embeddings) == (None, "by-number")
    assert chosen.strategy == "typiclust"
    assert {frame.frame % 2 for frame in chosen.frames} == {0, 1}
    assert "embeddings" not in chosen.notes
    world.predict()
    assert world.embedder.read == 12  # each picture once


def test_the_stand_in_is_told_with_the_choice(world):
    world.embedder = Descriptor("the learnt features are not installed")

    chosen = world.choose(world.predict(), ProjectState())

    assert chosen.notes["embeddings"] == "the learnt features are not installed"
    with PredictionStore(world.home.predictions, "descriptor") as store:
        (kept,) = store.get([world.sha256(3)]).values()
    assert np.array_equal(kept.embedding, describe(PIXELS[3]))


def test_a_model_with_embeddings_of_its_own_is_compared_by_them(world):
    predicted = world.predict(told(embeds=True), "m1")

    assert (predicted.model, predicted.embeddings, world.embedder.read) == ("m1", "m1", 0)


def test_a_model_without_embeddings_borrows_the_embedders(world):
    predicted = world.predict(told(embeds=False), "m1")
    chosen = world.choose(predicted, ProjectState(trusted=True, labelled=99, class_names=("cell",)))

    assert (predicted.model, predicted.embeddings) == ("m1", "by-number")
    assert chosen.phase == "uncertainty and diversity"
    assert {frame.frame % 2 for frame in chosen.frames} == {0, 1}


def test_what_an_earlier_version_kept_of_such_a_model_is_not_mixed_with_it(world):
    """It kept the descriptor's embedding with the model's answers, which stay as they are."""
    detector = told(embeds=False)
    world.predict()
    old = {
        world.sha256(n): replace(
            detector.detect([PIXELS[n]], min_score=0)[0], embedding=describe(PIXELS[n])
        )
        for n in range(6)
    }
    with PredictionStore(world.home.predictions, "m1", labels=("cell",)) as store:
        store.put(old)

    predicted = world.predict(detector, "m1")
    chosen = world.choose(predicted, ProjectState(trusted=True, labelled=99, class_names=("cell",)))

    assert (predicted.cached, predicted.read, predicted.embeddings) == (6, 6, "by-number")
    assert len(chosen.frames) == 2
    assert isinstance(next(iter(old.values())), Detections)
