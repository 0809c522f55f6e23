"""Frames and chunks of a task's data, as original files or compressed.

Chunks are built once and kept in `chunks/<data id>/`; a video's frames likewise, as PNG.
"""

from __future__ import annotations

import io
import threading
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cvat_bridge.sandbox.store.state import Row, State

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
_MIME = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "bmp": "image/bmp",
    "webp": "image/webp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "gif": "image/gif",
}
IMAGES = frozenset(f".{name}" for name in _MIME)
VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
_EXIF_ORIENTATION = 0x0112


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height as displayed, from the file's header; OSError for no image."""
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in {5, 6, 7, 8}
    return (height, width) if turned else (width, height)


def mime(name: str) -> str:
    """Return the media type of a file name."""
    return _MIME.get(name.rsplit(".", 1)[-1].lower(), "application/octet-stream")


def _frame_row(state: State, data: Row, number: int) -> Row:
    row = state.db.one("SELECT * FROM frame WHERE data_id = ? AND number = ?", data["id"], number)
    if row is None:
        raise KeyError(number)
    return row


def _upright(path: Path) -> bytes:
    with Image.open(path) as image:
        if image.getexif().get(_EXIF_ORIENTATION, 1) == 1:
            return path.read_bytes()
        out = io.BytesIO()
        ImageOps.exif_transpose(image).save(out, image.format, quality=100)
        return out.getvalue()


def step(data: Row) -> int:
    """Return every how many-th frame of the source is a frame of the task."""
    return int(str(data["frame_filter"]).partition("=")[2] or 1)


def _video_folder(state: State, data: Row) -> Path:
    return state.path("chunks", str(data["id"]), "frames")


def _decode(state: State, data: Row, number: int) -> Path:
    """Return the PNG of a video's frame; decodes the chunk around it when it is not kept yet."""
    import av

    folder = _video_folder(state, data)
    path = folder / f"{number:06d}.png"
    with _locks[folder]:
        if path.exists():
            return path
        first = number // data["chunk_size"] * data["chunk_size"]
        numbers = range(first, min(first + data["chunk_size"], data["size"]))
        wanted = {data["start_frame"] + n * step(data): n for n in numbers}
        with av.open(data["video"]) as container:
            for position, frame in enumerate(container.decode(video=0)):
                if position > max(wanted):
                    break
                if position in wanted:
                    target = folder / f"{wanted[position]:06d}.png"
                    picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
                    picture.save(target, compress_level=1)
    return path


def original(state: State, data: Row, number: int) -> tuple[bytes, str]:
    """Return a frame's file and its extension; a video's frame is PNG."""
    if data["video"]:
        return _decode(state, data, number).read_bytes(), "png"
    row = _frame_row(state, data, number)
    extension = row["name"].rsplit(".", 1)[-1].lower()
    return _upright(Path(row["path"])), extension


def _jpeg(content: bytes, quality: int, *, limit: tuple[int, int] | None = None) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        if image.mode in {"I", "I;16", "F"}:
            deep = np.asarray(image, dtype=np.float64)
            spread = (deep.max() - deep.min()) or 1.0
            plain = Image.fromarray(((deep - deep.min()) * 255 / spread).astype(np.uint8))
        else:
            plain = image
        plain = plain.convert("RGB")
        if limit:
            plain.thumbnail(limit)
        out = io.BytesIO()
        plain.save(out, "JPEG", quality=quality, optimize=True)
        return out.getvalue()


def compressed(state: State, data: Row, number: int) -> tuple[bytes, str]:
    """Return a frame as JPEG of the task's quality; PNG for a video without zip chunks."""
    content, extension = original(state, data, number)
    if data["compressed_type"] == "video":
        return content, extension
    return _jpeg(content, data["image_quality"]), "jpeg"


def preview(state: State, data: Row, number: int) -> bytes:
    """Return a small JPEG of a frame."""
    return _jpeg(original(state, data, number)[0], 70, limit=(256, 256))


def _zip(state: State, data: Row, numbers: Sequence[int], quality: str, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for position, number in enumerate(numbers):
            take = original if quality == "original" else compressed
            content, extension = take(state, data, number)
            archive.writestr(f"{position:06d}.{extension}", content)


def _mp4(state: State, data: Row, numbers: Sequence[int], path: Path) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = None
        for number in numbers:
            with Image.open(_decode(state, data, number)) as image:
                if stream is None:
                    stream = container.add_stream("libx264", rate=25)
                    # libx264 with yuv420p takes even sizes only
                    stream.width, stream.height = image.width // 2 * 2, image.height // 2 * 2
                    stream.pix_fmt = "yuv420p"
                    stream.options = {"crf": "10", "preset": "ultrafast"}
                even = image.crop((0, 0, stream.width, stream.height))
                pixels = np.asarray(even.convert("RGB"))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())


def chunk(state: State, data: Row, numbers: Sequence[int], quality: str) -> tuple[Path, str]:
    """Return the file of a chunk that holds these frames, and its media type."""
    as_video = data[f"{quality}_type"] == "video"
    name = f"{quality}-{data['image_quality']}-{numbers[0]}-{numbers[-1]}-{len(numbers)}"
    suffix = ".mp4" if as_video else ".zip"
    path = state.path("chunks", str(data["id"])) / f"{name}{suffix}"
    with _locks[path]:
        if not path.exists():
            partial = path.with_suffix(".part")
            if as_video:
                _mp4(state, data, numbers, partial)
            else:
                _zip(state, data, numbers, quality, partial)
            partial.replace(path)
    return path, "video/mp4" if as_video else "application/zip"
