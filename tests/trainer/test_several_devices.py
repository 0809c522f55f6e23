"""Several devices: the setting reaches ultralytics' own launcher, and its processes are heard.

No GPU is needed: the launcher starts two processes that agree by gloo, with our callbacks in them.
"""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from tests.trainer.several_devices import BATCHES, Standin
from tests.trainer.shapes import shapes_dataset
from trainer.backends import BACKENDS, backend
from trainer.backends.devices import device_faults
from trainer.backends.learning.state import STOP
from trainer.backends.yolo.callbacks import TrainingCallbacks
from trainer.backends.yolo.offline import isolate
from trainer.backends.yolo.relay import relaying
from trainer.backends.yolo.settings import YoloSettings
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError

TWO = FitConfig("yolo", epochs=3, batch_size=4, image_size=(64, 64), device="cuda:0,1")


def with_val(data: Dataset) -> Dataset:
    def moved(image: AnnotatedImage) -> AnnotatedImage:
        return dataclasses.replace(image, split="val") if image.split == "holdout" else image

    return dataclasses.replace(data, images=tuple(moved(image) for image in data.images))


def test_two_processes_stop_at_the_same_batch_and_are_heard_as_they_learn(tmp_path):
    isolate()
    from ultralytics.utils.dist import ddp_cleanup, generate_ddp_command

    data = with_val(shapes_dataset(tmp_path / "data", train=2, holdout=1))
    run = tmp_path / "run"
    run.mkdir()
    heard: list[Progress] = []
    watch = TrainingCallbacks(TWO, YoloSettings(), run, heard.append, data)
    asked = {"folder": str(tmp_path), "stop": str(run / STOP)}
    trainer = Standin(
        overrides=asked, _callbacks={event: [call] for event, call in watch.callbacks().items()}
    )
    command, file = generate_ddp_command(trainer)
    try:
        with relaying(run, watch.hear):
            subprocess.run(command, check=True, timeout=300)
    finally:
        ddp_cleanup(trainer, file)

    taken = {path.name: int(path.read_text()) for path in tmp_path.glob("*-of-2")}
    assert set(taken) == {"0-of-2", "1-of-2"}
    assert taken["0-of-2"] == taken["1-of-2"]
    assert 1.5 * BATCHES <= taken["0-of-2"] < 2 * BATCHES
    steps = [step for step in heard if step.stage == "fit"]
    assert steps[0].figures["loss"] == 1.5
    assert steps[0].figures["lr"] == 0.25
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert {step.total for step in steps} == {3 * BATCHES}
    looks = [step for step in heard if step.stage == "val"]
    assert looks
    assert looks[0].figures == {"ap": 0.5}


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_several_devices_are_taken_where_they_can_be_used_and_refused_elsewhere(name):
    asked = dataclasses.replace(TWO, backend=name)
    if name == "yolo":
        backend(name).check(asked)
        return
    with pytest.raises(ConfigError, match=r"trains on one device.*yolo can use several"):
        backend(name).check(asked)


def test_a_batch_that_the_devices_cannot_share_is_told():
    with pytest.raises(ConfigError, match="batch_size 5 must be a multiple of the devices"):
        backend("yolo").check(dataclasses.replace(TWO, batch_size=5))


def test_each_device_that_is_not_there_is_named():
    asked = dataclasses.replace(TWO, device="cuda:7777,8888")

    faults = device_faults(asked)

    assert len(faults) == 2
    assert "cuda:7777" in faults[0]
    assert "cuda:8888" in faults[1]
