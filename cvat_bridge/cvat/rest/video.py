"""Frames out of a video chunk."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import IO, Any

import cv2

from cvat_bridge.errors import ConfigError


class BrokenVideoError(ValueError):
    """The bytes are no video, or one with fewer frames than asked for."""


def png_frames(video: IO[bytes], offsets: AbstractSet[int]) -> Iterator[tuple[int, bytes]]:
    """Decode a video and give the frames at these places (0 is the first) as PNG, in order.

    Raises BrokenVideoError when it cannot be decoded that far, ConfigError without PyAV.
    """
    av = _av()
    left = set(offsets)
    try:
        with av.open(video, mode="r") as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for offset, frame in enumerate(container.decode(stream)):
                if offset not in left:
                    continue
                done, png = cv2.imencode(".png", frame.to_ndarray(format="bgr24"))
                if not done:
                    raise BrokenVideoError(f"frame {offset} could not be written as PNG")
                yield offset, png.tobytes()
                left.remove(offset)
                if not left:
                    return
    except (av.error.FFmpegError, IndexError) as error:
        raise BrokenVideoError(str(error)) from error
    if left:
        raise BrokenVideoError(f"it ends before frame {min(left)}")


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        fault = (
            "the frames of a video cannot be read: PyAV is not installed. Install the extra "
            "`video`: pip install 'cvat-active-learning[video]'"
        )
        raise ConfigError([fault]) from error
    return av
