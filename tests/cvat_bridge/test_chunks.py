"""Frames by chunks: how many requests they cost, what is kept, what happens to broken ones."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.gateway import Job, JobType
from cvat_bridge.cvat.rest.chunks import ChunkCache, plan
from cvat_bridge.errors import BrokenMediaError
from cvat_bridge.sandbox import Sandbox, running
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures
from tests.fakes.scripted import Answer, Asked, Scripted, forwarded, scripted
from tests.fakes.videos import clip


def a_job(number: int, start: int, stop: int, kind: JobType = "annotation") -> Job:
    return Job(
        number, 1, 1, kind, "annotation", "new", None, start, stop, stop - start + 1, "2026-01-01"
    )


def test_frames_of_one_chunk_are_fetched_together():
    """Jobs count their chunks from their own first frame, and the last chunk may be short."""
    jobs = [a_job(10, 0, 4), a_job(11, 5, 9)]

    chunks = plan(jobs, [0, 1, 4, 5, 8, 9], chunk_size=3)

    assert [(c.job_id, c.index, c.first, c.count, c.numbers_asked) for c in chunks] == [
        (10, 0, 0, 3, (0, 1)),
        (10, 1, 3, 2, (4,)),
        (11, 0, 5, 3, (5,)),
        (11, 1, 8, 2, (8, 9)),
    ]


def test_where_jobs_overlap_a_frame_is_fetched_once():
    """A frame of the chunk in hand is not asked of the next job, whose job reaches further."""
    jobs = [a_job(10, 0, 5), a_job(11, 3, 8)]

    chunks = plan(jobs, range(9), chunk_size=4)

    assert [(c.job_id, c.index, c.numbers_asked) for c in chunks] == [
        (10, 0, (0, 1, 2, 3)),
        (11, 0, (4, 5, 6)),
        (11, 1, (7, 8)),
    ]


def test_a_frame_that_only_a_ground_truth_job_holds_is_fetched_alone():
    """Ground-truth jobs pick frames, and replicas repeat their parents' ones."""
    jobs = [
        a_job(10, 0, 1),
        a_job(11, 0, 1, "consensus_replica"),
        a_job(12, 0, 3, "ground_truth"),
    ]

    chunks = plan(jobs, [1, 3], chunk_size=2)

    assert [(c.job_id, c.index, c.first, c.numbers_asked) for c in chunks] == [
        (10, 0, 0, (1,)),
        (None, None, 3, (3,)),
    ]


def fill(content: bytes) -> Callable[[io.IOBase], None]:
    return lambda target: target.write(content) and None


def test_the_cache_keeps_what_was_used_last(tmp_path: Path):
    """Three files of 40 bytes do not fit into 100: the one longest unused goes."""
    cache = ChunkCache(tmp_path, 100)
    for key in "ab":
        cache.open(key, fill(key.encode() * 40)).close()
    cache.open("a", pytest.fail).close()
    cache.open("c", fill(b"c" * 40)).close()

    assert cache.open("a", pytest.fail).read() == b"a" * 40
    assert cache.open("c", pytest.fail).read() == b"c" * 40
    assert cache.open("b", fill(b"again")).read() == b"again"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100


def test_a_file_larger_than_the_cache_is_given_all_the_same(tmp_path: Path):
    cache = ChunkCache(tmp_path, 10)

    assert cache.open("a", fill(b"a" * 40)).read() == b"a" * 40


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path):
    cache = ChunkCache(tmp_path, 100)

    def fail(target: io.IOBase) -> None:
        target.write(b"half")
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        cache.open("a", fail)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture(scope="module")
def stage(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpStage]:
    stage = HttpStage(
        sandbox.url, tmp_path_factory.mktemp("cache"), token=sandbox.admin_token, login=None
    )
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def task(stage: HttpStage) -> tuple[int, list[bytes]]:
    """Return a task of nine images in three jobs, and the images."""
    files = pictures(9)
    number = stage.add_task(stage.add_project([]), files, segment_size=3)
    return number, list(files.values())


class Meddler:
    """Passes everything on; change turns a chunk into another answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.change: Callable[[Answer], Answer] = lambda answer: answer

    def __call__(self, asked: Asked) -> Answer:
        answer = forwarded(self.url, asked)
        return self.change(answer) if asked.query.get("type") == "chunk" else answer


@pytest.fixture
def meddler(sandbox: Sandbox) -> Meddler:
    return Meddler(sandbox.url)


@pytest.fixture
def server(meddler: Meddler) -> Iterator[Scripted]:
    with scripted(meddler) as started:
        yield started


@pytest.fixture
def gateway(server: Scripted, sandbox: Sandbox, tmp_path: Path) -> Iterator[CvatClient]:
    with connect(server.url, token=sandbox.admin_token, cache_dir=tmp_path, patience=5) as client:
        yield client


def data_requests(server: Scripted) -> list[tuple[str, str]]:
    return [
        (one.query["type"], one.query["quality"]) for one in server.asked if "type" in one.query
    ]


def test_a_chunk_a_job_and_a_second_reading_asks_for_nothing(
    gateway: CvatClient, server: Scripted, task: tuple[int, list[bytes]]
):
    """Nine frames in three jobs cost three requests, at original quality, once."""
    number, images = task

    first = dict(gateway.frames(number, range(9)))
    second = dict(gateway.frames(number, range(9)))

    assert first == second == dict(enumerate(images))
    assert data_requests(server) == [("chunk", "original")] * 3


def test_several_threads_read_at_once(gateway: CvatClient, task: tuple[int, list[bytes]]):
    number, images = task
    results: dict[int, dict[int, bytes]] = {}

    def read(place: int) -> None:
        results[place] = dict(gateway.frames(number, range(9)))

    threads = [threading.Thread(target=read, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert results == {place: dict(enumerate(images)) for place in range(4)}


def test_a_reader_that_stops_early_leaves_the_rest(
    gateway: CvatClient, task: tuple[int, list[bytes]]
):
    number, images = task
    reading = gateway.frames(number, range(9))

    assert next(reading) == (0, images[0])
    reading.close()
    assert dict(gateway.frames(number, [8])) == {8: images[8]}


def truncated(answer: Answer) -> Answer:
    return Answer(answer.status, answer.body[:-30], answer.headers)


def no_archive(answer: Answer) -> Answer:
    return Answer(answer.status, b"no archive", answer.headers)


def too_few(answer: Answer) -> Answer:
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(answer.body)) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist()[:-1]:
            new.writestr(name, old.read(name))
    return Answer(answer.status, content.getvalue(), answer.headers)


@pytest.mark.parametrize("break_it", [truncated, no_archive, too_few])
def test_a_chunk_that_is_broken_on_the_server_is_named(
    gateway: CvatClient,
    meddler: Meddler,
    task: tuple[int, list[bytes]],
    break_it: Callable[[Answer], Answer],
):
    """The error says which chunk of which job and which frames; nothing broken is kept."""
    number, images = task
    meddler.change = break_it
    job = gateway.jobs(task_id=number)[1]

    with pytest.raises(BrokenMediaError, match=rf"chunk 0 of job {job.id} \(frames 3 to 5\)"):
        list(gateway.frames(number, [4]))

    meddler.change = lambda answer: answer
    assert dict(gateway.frames(number, [4])) == {4: images[4]}


def test_a_chunk_that_broke_on_our_disk_is_fetched_anew(
    gateway: CvatClient, server: Scripted, task: tuple[int, list[bytes]], tmp_path: Path
):
    number, images = task
    list(gateway.frames(number, [0]))
    (kept,) = tmp_path.rglob("*.chunk")
    kept.write_bytes(kept.read_bytes()[:50])

    assert dict(gateway.frames(number, [0, 2])) == {0: images[0], 2: images[2]}
    assert len(data_requests(server)) == 2


def test_a_video_that_cannot_be_decoded_is_named(
    gateway: CvatClient, meddler: Meddler, stage: HttpStage
):
    number = stage.add_video_task(stage.add_project([]), clip(6), 6)
    meddler.change = lambda answer: Answer(answer.status, b"\x00" * 400, answer.headers)

    with pytest.raises(BrokenMediaError, match=r"chunk 0 of job \d+"):
        list(gateway.frames(number, [1]))
