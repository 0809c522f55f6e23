"""A model over a stream of frames: batches side by side, each answer in the frames' order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

from cvat_bridge.annotate.frames import DecodedFrame
from cvat_bridge.cvat.gateway import Media
from cvat_bridge.masks.making import Segmenter, general_segmenter
from cvat_bridge.shapes.detected import Made
from serverless.errors import ModelError
from serverless.host.models import Model, detect
from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.detections import Detections
from trainer.engines import load
from trainer.machine.portable import usable_cores

PIXELS_HELD = 100_000_000  # of the batches at work, at three bytes each
GIVE_UP_AFTER = 16  # frames that fail before any succeeds: it is the model, not the frames


@dataclass(frozen=True, eq=False)
class FrameInference:
    """What the model said about a frame of width x height; found is None with the problem.

    made: masks of its boxes, by row of found, where some were to be made.
    """

    frame: int
    width: int
    height: int
    found: Detections | None
    problem: str = ""
    made: Made = field(default_factory=dict)


# Pixels and what was found in them → the masks that are to be made of its boxes.
MaskMaker = Callable[[RGBImage, Detections], Made]


@dataclass(frozen=True)
class InferenceRunner:
    """How a model is run.

    streams: batches at once, each on `threads` cores. One core a batch and as many batches as
    cores waste less than one batch over all cores, and leave no core idle between two batches.
    batch: frames of one. segmenter: what makes masks of boxes for a project, by its key in the
    registry (None: of no project).
    """

    model: Model
    streams: int
    batch: int
    segmenter: Callable[[str | None], Segmenter] = lambda _key: general_segmenter

    def sized(self, media: Media) -> InferenceRunner:
        """Return the runner with batches so small that a task's largest frames fit in memory."""
        largest = max((frame.width * frame.height for frame in media.frames), default=0)
        room = PIXELS_HELD // max(largest, 1) // self.streams
        return replace(self, batch=max(1, min(self.batch, room)))

    def run(
        self,
        frames: Iterable[DecodedFrame],
        *,
        min_score: float,
        stop: threading.Event,
        draw: MaskMaker = lambda _image, _found: {},
    ) -> Iterator[FrameInference]:
        """Yield what is found in each frame, in order, until the frames or `stop` end it.

        draw: called after the model, for the masks of boxes. A frame that the model fails on comes
        with its problem. Raises ModelError when it fails on the first GIVE_UP_AFTER frames, one
        and all.
        """
        good = failed = 0
        for seen in self._answers(iter(frames), min_score, stop, draw):
            good += seen.found is not None
            failed += bool(seen.found is None and seen.width)
            if not good and failed >= GIVE_UP_AFTER:
                raise ModelError(
                    f"the model failed on the first {failed} frames, the last time so: "
                    f"{seen.problem}"
                )
            yield seen

    def _answers(
        self,
        source: Iterator[DecodedFrame],
        min_score: float,
        stop: threading.Event,
        draw: MaskMaker,
    ) -> Iterator[FrameInference]:
        waiting: deque[Future[list[FrameInference]]] = deque()
        with ThreadPoolExecutor(self.streams, thread_name_prefix="infer") as pool:
            try:
                while not stop.is_set():
                    batch = list(islice(source, self.batch))
                    if not batch:
                        break
                    waiting.append(pool.submit(self._look, batch, min_score, draw))
                    while len(waiting) > self.streams:
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _look(
        self, batch: list[DecodedFrame], min_score: float, draw: MaskMaker
    ) -> list[FrameInference]:
        shown = [one for one in batch if one.pixels is not None]
        asked = self._ask(shown, min_score)
        drawn = [_with_masks(one, seen, draw) for one, seen in zip(shown, asked, strict=True)]
        answers = {seen.frame: seen for seen in drawn}
        return [
            answers.get(one.frame) or FrameInference(one.frame, 0, 0, None, one.problem)
            for one in batch
        ]

    def _ask(self, batch: list[DecodedFrame], min_score: float) -> list[FrameInference]:
        pixels = [one.pixels for one in batch if one.pixels is not None]
        if not pixels:
            return []
        try:
            found: list[Detections | None] = [*detect(self.model, pixels, min_score=min_score)]
        except ModelError as error:
            if len(batch) > 1:
                # One frame may have broken the batch; the others shall not suffer for it.
                return [seen for one in batch for seen in self._ask([one], min_score)]
            height, width = pixels[0].shape[:2]
            return [
                FrameInference(
                    batch[0].frame, width, height, None, f"the model failed on it: {error}"
                )
            ]
        return [
            FrameInference(one.frame, image.shape[1], image.shape[0], answer)
            for one, image, answer in zip(batch, pixels, found, strict=True)
        ]


def _with_masks(one: DecodedFrame, seen: FrameInference, draw: MaskMaker) -> FrameInference:
    """Add the masks that are to be made; a frame on which it fails comes with its problem."""
    if seen.found is None or one.pixels is None:
        return seen
    try:
        return replace(seen, made=draw(one.pixels, seen.found))
    # As with a detector: an engine that fails on a frame shall not end the run.
    except Exception as error:  # noqa: BLE001 told as this frame's problem
        problem = f"making masks of its boxes failed: {type(error).__name__}: {error}"
        return replace(seen, found=None, problem=problem)


def runner(
    bundle: Bundle,
    *,
    batch: int,
    cores: int | None = None,
    segmenter: Callable[[str | None], Segmenter] = lambda _key: general_segmenter,
) -> InferenceRunner:
    """Load a bundle for whole tasks. cores: all of the machine's that we may use, unless given.

    segmenter: see InferenceRunner. Raises BundleError, ImportError for an engine whose library is
    not installed.
    """
    streams = cores or usable_cores()
    weight = sum((bundle.path / name).stat().st_size for name in bundle.card.files)
    return InferenceRunner(
        Model(bundle, load(bundle, threads=1), weight), streams, batch, segmenter
    )
