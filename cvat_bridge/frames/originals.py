"""Original image files: fetched from CVAT by chunk, kept by content, broken ones named."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from cvat_bridge.cvat.gateway import Gateway, Media
from cvat_bridge.errors import AuthenticationError, GatewayError, HomeError
from cvat_bridge.ledger.records import FrameFacts, frame_key
from trainer.data.fingerprints import difference_hash
from trainer.data.images import RGBImage, decode
from trainer.errors import ImageError

log = logging.getLogger(__name__)
T = TypeVar("T")
_DECODERS = min(4, os.cpu_count() or 1)  # decoding releases the interpreter's lock
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2"})


@dataclass(frozen=True)
class Original:
    """A frame's file. pixels is None (and facts.problem says why) when it cannot be used."""

    facts: FrameFacts
    content: bytes
    pixels: RGBImage | None


class ImageStore:
    """Image files under a folder, named by their sha256. Writes are atomic.

    Raises HomeError where a folder lies in a file's place. A file whose bytes are not what its name
    says (a disk's fault, a half restored copy) counts as not there and is removed, so that it is
    fetched again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, facts: FrameFacts) -> Path:
        """Return where the file of a frame lies, or would lie."""
        return self.folder / facts.sha256[:2] / f"{facts.sha256}{facts.suffix}"

    def read(self, facts: FrameFacts) -> bytes | None:
        """Return the file of a frame; None where there is no whole one."""
        if not facts.sha256:
            return None
        path = self.path(facts)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except IsADirectoryError as error:
            raise HomeError(f"{path} is a folder, expected a file; move it away") from error
        if hashlib.sha256(content).hexdigest() == facts.sha256:
            return content
        log.warning("%s is not the image that its name says: fetched again", path)
        path.unlink()
        return None

    def holds(self, facts: FrameFacts) -> bool:
        """Whether the file of a frame is there and whole."""
        return self.read(facts) is not None

    def put(self, original: Original) -> Path:
        """Keep a file; one that is there already is left as it is."""
        path = self.path(original.facts)
        if not path.exists():
            write_atomically(path, original.content)
        return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_originals(
    gateway: Gateway, media: Media, numbers: Sequence[int]
) -> Iterator[tuple[int, Original]]:
    """Fetch and decode frames of a task, in rising order; broken ones come with a problem.

    A frame that alone cannot be fetched while CVAT otherwise answers is a broken frame. Raises
    GatewayError when CVAT does not answer and AuthenticationError when it refuses us.
    """
    waiting: deque[tuple[int, Future[Original]]] = deque()
    with ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode") as decoders:
        for number, content in fetch_each(gateway, media.task_id, sorted(set(numbers))):
            waiting.append((number, decoders.submit(_original, media, number, content)))
            if len(waiting) > 2 * _DECODERS:
                first, future = waiting.popleft()
                yield first, future.result()
        for number, future in waiting:
            yield number, future.result()


def ahead(items: Iterable[T], *, depth: int) -> Generator[T, None, None]:
    """Make the next items in a thread while the present one is used; at most `depth` wait.

    An error of the maker is raised where its item would have come.
    """
    box: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(good: bool, item: T | BaseException | None) -> None:
        while not stop.is_set():
            try:
                box.put((good, item), timeout=0.1)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            for item in items:
                offer(True, item)
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 raised again by the reader
            offer(False, error)
        else:
            offer(False, None)

    maker = threading.Thread(target=make, name="frames-ahead", daemon=True)
    maker.start()
    try:
        while True:
            good, item = box.get()
            if not good:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]  # good items are T
    finally:
        stop.set()
        maker.join()


def fetch_each(
    gateway: Gateway, task_id: int, numbers: Sequence[int]
) -> Iterator[tuple[int, bytes | GatewayError]]:
    """Fetch the file of each frame, in the order given (rising), or why CVAT cannot give it.

    A frame that alone cannot be fetched while CVAT otherwise answers is a broken frame. Raises
    GatewayError when CVAT does not answer and AuthenticationError when it refuses us.
    """
    remaining = list(numbers)
    alone = False
    while remaining:
        asked = remaining[:1] if alone else list(remaining)
        try:
            for number, content in gateway.frames(task_id, asked):
                remaining.remove(number)
                yield number, content
            if asked[0] in remaining:
                raise GatewayError(  # noqa: TRY301 the same as a frame that is refused
                    "read", f"frame {asked[0]} of task {task_id}", None, "it was not among them"
                )
            alone = False
        except AuthenticationError:
            raise
        except GatewayError as error:
            if not alone:
                alone = True  # is it this frame, or all of CVAT?
                continue
            gateway.task(task_id)
            yield remaining.pop(0), error
            alone = False


def _original(media: Media, number: int, content: bytes | GatewayError) -> Original:
    if isinstance(content, GatewayError):
        problem = f"CVAT cannot give it: {content}"
        return Original(_facts(media, number, b"", None, problem), b"", None)
    try:
        pixels = decode(content)
    except ImageError as error:
        return Original(_facts(media, number, content, None, str(error)), content, None)
    frame = media.frames[min(number, len(media.frames) - 1)]
    if frame.width and (pixels.shape[1], pixels.shape[0]) != (frame.width, frame.height):
        problem = (
            f"the file is {pixels.shape[1]} x {pixels.shape[0]} pixels, "
            f"CVAT says {frame.width} x {frame.height}"
        )
        return Original(_facts(media, number, content, pixels, problem), content, None)
    return Original(_facts(media, number, content, pixels, ""), content, pixels)


def _facts(
    media: Media, number: int, content: bytes, pixels: RGBImage | None, problem: str
) -> FrameFacts:
    name = media.frames[min(number, len(media.frames) - 1)].name
    suffix = PurePosixPath(name).suffix.lower()
    return FrameFacts(
        key=frame_key(media.task_id, number),
        task_id=media.task_id,
        frame=number,
        sha256=hashlib.sha256(content).hexdigest() if content else "",
        suffix=".png" if media.is_video or suffix not in SUFFIXES else suffix,
        width=pixels.shape[1] if pixels is not None else 0,
        height=pixels.shape[0] if pixels is not None else 0,
        perceptual=difference_hash(pixels) if pixels is not None else "",
        problem=problem,
    )
