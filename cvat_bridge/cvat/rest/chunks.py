"""Frames at original quality, by whole chunks of their jobs, through a cache on disk.

A job's own chunks (by `index`) are what CVAT keeps ready; a task's chunks it composes anew on
each request, and single frames cost a request each.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cvat_bridge.cvat.gateway import Job, Media
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.video import BrokenVideoError, png_frames
from cvat_bridge.errors import BrokenMediaError, NotFoundError

AHEAD = 4  # chunks that are fetched while an earlier one is read


@dataclass(frozen=True)
class Chunk:
    """Some frames of a task that are fetched together.

    index: the place of the chunk in its job, None for a single frame that no job's chunk holds.
    first, count: the frames it holds. wanted: those asked for, rising.
    """

    job_id: int | None
    index: int | None
    first: int
    count: int
    numbers_asked: tuple[int, ...]


class ChunkCache:
    """Files in a folder, at most `limit` bytes together; what was used last stays longest.

    Several threads and processes may share the folder.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._evicting = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, key: str, fetch: Callable[[IO[bytes]], None]) -> IO[bytes]:
        """Return the file of this key, at its start; fetch writes it when it is not here."""
        path = self._path(key)
        try:
            held = path.open("rb")
        except FileNotFoundError:
            return self._fill(path, fetch)
        os.utime(held.fileno())
        return held

    def drop(self, key: str) -> None:
        """Forget a file."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.chunk"

    def _fill(self, path: Path, fetch: Callable[[IO[bytes]], None]) -> IO[bytes]:
        handle, name = tempfile.mkstemp(prefix="new-", dir=self.folder)
        file = os.fdopen(handle, "w+b")
        try:
            fetch(file)
            file.flush()
            Path(name).replace(path)
        except BaseException:
            file.close()
            Path(name).unlink(missing_ok=True)
            raise
        self._evict(keep=path)
        file.seek(0)
        return file

    def _evict(self, *, keep: Path) -> None:
        with self._evicting:
            held = []
            for path in self.folder.glob("*.chunk"):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # another process was faster
                held.append((path == keep, stat.st_mtime_ns, stat.st_size, path))
            excess = sum(size for _, _, size, _ in held) - self.limit
            for _, _, size, path in sorted(held):
                if excess <= 0:
                    return
                path.unlink(missing_ok=True)
                excess -= size


def plan(jobs: Iterable[Job], numbers: Sequence[int], chunk_size: int) -> list[Chunk]:
    """Choose the chunks that hold these rising frame numbers, few as they can be.

    Only annotation jobs hold frames side by side. Where jobs overlap, the job that reaches
    furthest is taken. A frame of no such job is fetched alone.
    """
    spans = [job for job in jobs if job.type == "annotation"]
    chunks: list[Chunk] = []
    for number in numbers:
        last = chunks[-1] if chunks else None
        if last is not None and last.first <= number < last.first + last.count:
            chunks[-1] = Chunk(
                last.job_id, last.index, last.first, last.count, (*last.numbers_asked, number)
            )
            continue
        holders = [job for job in spans if job.start_frame <= number <= job.stop_frame]
        if not holders:
            chunks.append(Chunk(None, None, number, 1, (number,)))
            continue
        job = max(holders, key=lambda held: (held.stop_frame, -held.id))
        index = (number - job.start_frame) // chunk_size
        first = job.start_frame + index * chunk_size
        count = min(chunk_size, job.stop_frame + 1 - first)
        chunks.append(Chunk(job.id, index, first, count, (number,)))
    return chunks


def frames(
    net: Connection,
    cache: ChunkCache,
    media: Media,
    chunks_date: str,
    jobs: Iterable[Job],
    numbers: Sequence[int],
) -> Iterator[tuple[int, bytes]]:
    """Yield each frame asked for, in rising order, while the next chunks are on their way.

    Raises NotFoundError for a number that the task has not, BrokenMediaError for a chunk that
    cannot be read even when fetched anew.
    """
    numbers_asked = sorted(set(numbers))
    for number in numbers_asked:
        if not 0 <= number < len(media.frames):
            raise NotFoundError(
                "read",
                f"frame {number} of task {media.task_id}",
                None,
                f"the task has frames 0 to {len(media.frames) - 1}",
            )
    source = _Source(net, cache, media, chunks_date)
    todo = deque(plan(jobs, numbers_asked, media.chunk_size))
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="chunks") as pool:
        coming: deque[tuple[Chunk, Future[IO[bytes]]]] = deque()
        try:
            while todo or coming:
                while todo and len(coming) < AHEAD:
                    chunk = todo.popleft()
                    coming.append((chunk, pool.submit(source.open, chunk)))
                chunk, file = coming.popleft()
                yield from source.read(chunk, file.result())
        finally:
            for _, late in coming:
                late.cancel()
                late.add_done_callback(_close)


def _close(late: Future[IO[bytes]]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result().close()


@dataclass(frozen=True)
class _Source:
    """Where the chunks of one task come from, and how they are read."""

    net: Connection
    cache: ChunkCache
    media: Media
    chunks_date: str

    def open(self, chunk: Chunk) -> IO[bytes]:
        def fetch(target: IO[bytes]) -> None:
            if chunk.index is None:
                path = f"/api/tasks/{self.media.task_id}/data"
                query = {"type": "frame", "number": chunk.first, "quality": "original"}
            else:
                path = f"/api/jobs/{chunk.job_id}/data"
                query = {"type": "chunk", "index": chunk.index, "quality": "original"}
            self.net.download(path, self._name(chunk), target, query=query)

        return self.cache.open(self._key(chunk), fetch)

    def read(self, chunk: Chunk, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        given = 0
        try:
            for number, content in self._decode(chunk, file):
                yield number, content
                given += 1
        except (BrokenVideoError, _BrokenZipError):
            # A file that broke on our disk is mended by fetching it anew, once.
            self.cache.drop(self._key(chunk))
            try:
                again = self._decode(chunk, self.open(chunk))
                for place, frame in enumerate(again):
                    if place >= given:
                        yield frame
            except (BrokenVideoError, _BrokenZipError) as error:
                self.cache.drop(self._key(chunk))
                raise BrokenMediaError(
                    "read",
                    self._name(chunk),
                    200,
                    str(error),
                    "Open the task in CVAT; if its frames do not show, its data has to be uploaded "
                    "again",
                ) from error

    def _decode(self, chunk: Chunk, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        with file:
            if chunk.index is None:
                yield chunk.first, file.read()
            elif self.media.is_video:
                offsets = {number - chunk.first for number in chunk.numbers_asked}
                for offset, png in png_frames(file, offsets):
                    yield chunk.first + offset, png
            else:
                yield from _unzip(chunk, file)

    def _name(self, chunk: Chunk) -> str:
        if chunk.index is None:
            return f"frame {chunk.first} of task {self.media.task_id}"
        last = chunk.first + chunk.count - 1
        return f"chunk {chunk.index} of job {chunk.job_id} (frames {chunk.first} to {last})"

    def _key(self, chunk: Chunk) -> str:
        place = f"{chunk.job_id}/{chunk.index}" if chunk.index is not None else f"f{chunk.first}"
        return f"{self.net.url} {self.media.task_id}/{place} {self.chunks_date}"


class _BrokenZipError(ValueError):
    """The bytes are no archive of as many images as the chunk should hold."""


def _unzip(chunk: Chunk, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = sorted(archive.namelist())
            if len(names) != chunk.count:
                raise _BrokenZipError(f"it holds {len(names)} frames, expected {chunk.count}")
            for number in chunk.numbers_asked:
                yield number, archive.read(names[number - chunk.first])
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _BrokenZipError(f"no readable ZIP archive: {error}") from error
