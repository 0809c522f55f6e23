"""Long work that people asked for: in order, once, stopped, resumed, and after a kill."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvat_bridge.errors import BridgeError, NothingToDoError
from cvat_bridge.secrecy import remember
from cvat_bridge.web.background.work_queue import WorkQueue
from cvat_bridge.web.long_work.lane import Lane
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.long_work.works import Ended, Handle, Works

KEY = "{:032x}".format
SECONDS = 120  # that a test waits for a thread, which has nothing else to do


class Scripted:
    """Does what a test says: it tells that it began, and ends when it is let or told to."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.begun, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, work: Work, handle: Handle) -> Ended:
        self.order.append(str(work.request["name"]))
        handle.report("counting", 1, 4)
        handle.remember({"tries": work.made.get("tries", 0) + 1})
        self.begun.release()
        if work.request["name"] == "broken":
            raise BridgeError("the disk is full")
        while not self.let.acquire(timeout=0.01):
            if handle.halt.is_set():
                return Ended({"kept": 1}, stopped=True)
        return Ended({"kept": 4})

    def wait_for_begin(self) -> None:
        assert self.begun.acquire(timeout=SECONDS)


@pytest.fixture
def do() -> Scripted:
    return Scripted()


@pytest.fixture
def works(tmp_path: Path, do: Scripted) -> Iterator[Works]:
    lane = Lane("test")
    made = Works(tmp_path, "count", 7, do, lane)
    yield made
    made.close()
    lane.close()


def ask(works: Works, number: int, name: str = "one") -> Work:
    return works.ask(KEY(number), {"name": name}, who="mira", at=f"2026-02-01T00:00:{number:02}")


def ended(works: Works, number: int) -> Work:
    pause = threading.Event()
    for _ in range(SECONDS * 100):
        found = works.find(KEY(number))
        if found is not None and not found.is_under_way:
            return found
        pause.wait(0.01)
    raise AssertionError(found)


def test_work_is_done_in_the_order_in_which_it_was_asked_for(works, do):
    for number, name in enumerate(("first", "second", "third")):
        ask(works, number, name)
    do.wait_for_begin()
    assert [works.before(KEY(n)) for n in range(3)] == [0, 1, 2]
    assert (works.find(KEY(0)).stage, works.find(KEY(0)).share) == ("counting", 0.25)
    for _ in range(3):
        do.let.release()
    assert ended(works, 2).made == {"tries": 1, "kept": 4}
    assert do.order == ["first", "second", "third"]
    assert [one.request["name"] for one in works.all()] == ["third", "second", "first"]


def test_the_same_key_is_the_same_work(works, do):
    do.let.release()
    ask(works, 1)
    first = ended(works, 1)
    assert ask(works, 1, "another") == first
    assert do.order == ["one"]


def test_what_is_stopped_keeps_what_it_did_and_goes_on_when_somebody_resumes_it(works, do):
    ask(works, 1)
    do.wait_for_begin()
    works.stop(KEY(1), who="ann", at="later")
    found = ended(works, 1)
    assert (found.state, found.made["kept"]) == ("stopped", 1)
    do.let.release()
    works.resume(KEY(1), who="otto", at="tomorrow")
    found = ended(works, 1)
    assert (found.state, found.made) == ("done", {"tries": 2, "kept": 4})
    steps = [(step.who, step.what) for step in found.history]
    assert steps == [("mira", "asked"), ("ann", "stopped"), ("otto", "resumed")]


def test_what_waits_is_stopped_at_once_and_never_begun(works, do):
    ask(works, 1)
    do.wait_for_begin()
    ask(works, 2, "second")
    assert works.stop(KEY(2), who="ann", at="later").state == "stopped"
    do.let.release()
    ended(works, 1)
    ask(works, 3, "third")
    do.let.release()
    ended(works, 3)
    assert do.order == ["one", "third"]


def test_what_fails_says_why_delays_nobody_and_can_be_tried_again(works, do):
    ask(works, 1, "broken")
    ask(works, 2)
    do.let.release()
    assert ended(works, 2).state == "done"
    found = ended(works, 1)
    assert (found.state, found.problem) == ("failed", "the disk is full")
    works.resume(KEY(1), who="mira", at="later")
    assert ended(works, 1).made["tries"] == 2


@pytest.mark.parametrize("state", ["waiting", "working", "stopping"])
def test_what_a_killed_process_left_is_taken_up_by_the_next_one(tmp_path, do, state):
    """Its file stays as it was written last."""
    from dataclasses import replace

    from cvat_bridge.web.long_work.work import Step, keep

    left = Work(KEY(1), "count", 7, {"name": "one"}, (Step("then", "mira", "asked"),))
    keep(tmp_path, replace(left, state=state, made={"tries": 1}))
    lane = Lane("test")
    works = Works(tmp_path, "count", 7, do, lane)
    do.let.release()
    works.resume_all()
    found = ended(works, 1)
    works.close()
    lane.close()
    assert (found.state, found.made["tries"]) == (
        ("stopped", 1) if state == "stopping" else ("done", 2)
    )


def test_the_end_of_the_service_stops_what_is_under_way_and_its_next_start_goes_on(tmp_path, do):
    lane = Lane("test")
    works = Works(tmp_path, "count", 7, do, lane)
    ask(works, 1)
    do.wait_for_begin()
    works.close()
    lane.close()
    again = Lane("test")
    works = Works(tmp_path, "count", 7, do, again)
    assert works.find(KEY(1)).state == "working"
    do.let.release()
    works.resume_all()
    found = ended(works, 1)
    works.close()
    again.close()
    assert (found.state, found.made) == ("done", {"tries": 2, "kept": 4})
    assert [step.what for step in found.history] == ["asked"]


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "f" * 31, "G" * 32])
def test_a_key_that_is_none_of_ours_finds_nothing(works, key):
    assert works.find(key) is None
    with pytest.raises(NothingToDoError):
        works.stop(key, who="ann", at="now")


@pytest.mark.parametrize("error", [BridgeError, ValueError])
def test_a_secret_in_an_error_is_kept_by_no_queue(tmp_path: Path, error: type[Exception]) -> None:
    remember("s3cret-of-a-store")

    def fails(*_: object) -> Ended:
        raise error("refused for s3cret-of-a-store")

    queue = WorkQueue(tmp_path / "queue", fails)
    (tmp_path / "queue").mkdir()
    queue.ask(KEY(1), "export", {}, who="mira", now="2026-02-01")
    lane = Lane("failing")
    works = Works(tmp_path / "works", "count", 7, fails, lane)
    ask(works, 2)
    for found in (lambda: queue.find(KEY(1)), lambda: works.find(KEY(2))):
        until = time.monotonic() + SECONDS
        while (one := found()) is None or one.state != "failed":
            assert time.monotonic() < until
            time.sleep(0.01)
        assert "refused for" in one.problem
        assert "s3cret" not in one.problem
    works.close()
    lane.close()
