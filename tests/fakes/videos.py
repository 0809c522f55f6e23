"""Small videos whose frames can be told apart."""

from __future__ import annotations

import io

import av
import numpy as np


def shade(number: int) -> int:
    """Return the grey of a frame of a clip."""
    return 20 + 15 * (number % 14)


def clip(frames: int, *, width: int = 96, height: int = 64) -> bytes:
    """Encode an MP4 whose frame n is of the grey shade(n)."""
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            pixels = np.full((height, width, 3), shade(number), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return content.getvalue()
