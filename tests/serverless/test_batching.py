"""One image that ends the model's process costs its own caller, whatever its place in the batch."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serverless.errors import ModelError, PausedError
from serverless.host.batching import Batcher
from serverless.host.runners import Answered, Ask


class Fragile:
    """A model that a bright image crashes, and that pauses for a while after two in a row."""

    def __init__(self, pause):
        self.pause, self.crashes, self.paused = pause, 0, 0

    def __call__(self, asks):
        if self.crashes >= 2 and self.paused < 2:
            self.paused += 1
            raise PausedError("it is started again soon", seconds=self.pause)
        if any(ask.image.any() for ask in asks):
            self.crashes += 1
            raise ModelError("crashed")
        self.crashes = self.paused = 0
        return [Answered(b"[]") for _ in asks]


def answers(run, bright_at, count=4):
    async def ask_all(threads):
        batcher = Batcher(run, threads, max_batch=count, max_waiting=count, seconds=30)
        batcher.arriving = 1  # so that all of them are one batch
        images = [np.full((2, 2, 3), 255 * (i == bright_at), np.uint8) for i in range(count)]
        calls = [batcher.detect(Ask(None, image, 0.5)) for image in images]
        return await asyncio.gather(*calls, return_exceptions=True)

    with ThreadPoolExecutor(1) as threads:
        return [type(one) for one in asyncio.run(ask_all(threads))]


@pytest.mark.parametrize("bright_at", range(4))
def test_calls_wait_for_a_process_that_another_image_ended(bright_at):
    found = answers(Fragile(pause=0.05), bright_at)

    assert found == [ModelError if i == bright_at else Answered for i in range(4)]


def test_a_long_pause_is_said_to_the_callers_instead_of_waited_for():
    assert answers(Fragile(pause=60), 0) == [ModelError, PausedError, PausedError, Answered]
