"""Frames of a task as pixels, decoded while a model is busy with earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from cvat_bridge.cvat.gateway import Gateway, Media
from cvat_bridge.errors import GatewayError
from cvat_bridge.frames.originals import fetch_each
from trainer.data.images import RGBImage, decode
from trainer.errors import ImageError


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """A frame. pixels: (H, W, 3), or None with the problem where it cannot be used."""

    frame: int
    pixels: RGBImage | None
    problem: str = ""


def decode_frames(
    gateway: Gateway, media: Media, numbers: Sequence[int], *, threads: int
) -> Iterator[DecodedFrame]:
    """Fetch and decode frames in rising order; a broken one comes with its problem.

    threads: decoders. Raises GatewayError when CVAT does not answer or refuses us.
    """
    waiting: deque[Future[DecodedFrame]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as decoders:
        for number, content in fetch_each(gateway, media.task_id, numbers):
            waiting.append(decoders.submit(_decode, media, number, content))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _decode(media: Media, number: int, content: bytes | GatewayError) -> DecodedFrame:
    if isinstance(content, GatewayError):
        return DecodedFrame(number, None, f"CVAT cannot give it: {content}")
    try:
        pixels = decode(content)
    except ImageError as error:
        return DecodedFrame(number, None, str(error))
    frame = media.frames[number]
    height, width = pixels.shape[:2]
    if frame.width and (width, height) != (frame.width, frame.height):
        return DecodedFrame(
            number,
            None,
            f"the file is {width} x {height} pixels, CVAT says {frame.width} x {frame.height}",
        )
    return DecodedFrame(number, pixels)
