"""Files in place of the recorded ones, of which only names and sizes were kept."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw


def picture(name: str, size: tuple[int, int], length: int = 0) -> bytes:
    """Return an image file of this name's format; padded to length bytes, which readers ignore."""
    seed = sum(name.encode())
    image = Image.new("RGB", size, (seed % 200, seed * 7 % 200, seed * 13 % 200))
    draw = ImageDraw.Draw(image)
    draw.rectangle((size[0] // 8, size[1] // 8, size[0] // 2, size[1] // 2), fill=(255, 255, 255))
    out = io.BytesIO()
    image.save(out, "PNG" if name.endswith(".png") else "JPEG")
    content = out.getvalue()
    return content + b"\0" * max(0, length - len(content))


def video(path: Path, *, frames: int, size: tuple[int, int]) -> bytes:
    """Return an MP4 file of so many frames, each of another shade."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            shade = 20 + number * 200 // frames
            frame = av.VideoFrame.from_image(Image.new("RGB", size, (shade, shade, shade)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()
