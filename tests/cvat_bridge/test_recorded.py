"""The client over what a real CVAT 2.73 answered: a server that plays recorded answers back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.rest import raw
from cvat_bridge.errors import AuthenticationError, NotFoundError, NotReadyError
from cvat_bridge.shapes.convert import shapes_of_job
from tests.fakes.scripted import Answer, Asked, scripted

FOLDER = Path(__file__).parents[1] / "recordings"
HOW_LISTED = {"page", "page_size", "sort"}
Key = tuple[str, frozenset[tuple[str, str]]]


def recorded(name: str) -> list[dict[str, Any]]:
    """Return the lines of a recording; the first says what was there before."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


def key_of(path: str, query: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Key:
    """Name a question; how a list is cut into pages does not count."""
    return path, frozenset(pair for pair in query if pair[0] not in HOW_LISTED)


@contextmanager
def played(name: str, folder: Path, *, user: str = "admin") -> Iterator[CvatClient]:
    """Give a client of a server that answers this user's GETs as they were first answered."""
    answers: dict[Key, Answer] = {}
    for line in recorded(name)[1:]:
        if line["request"]["method"] == "GET" and line["user"] == user:
            split = urlsplit(line["request"]["path"])
            given = Answer(line["response"]["status"], line["response"]["body"])
            answers.setdefault(key_of(split.path, parse_qsl(split.query)), given)

    def answer(asked: Asked) -> Answer:
        key = key_of(asked.path, list(asked.query.items()))
        if key not in answers:
            return Answer(501, {"detail": f"{asked.path} {dict(asked.query)} was not recorded"})
        return answers[key]

    with (
        scripted(answer) as server,
        connect(server.url, token="secret", cache_dir=folder, patience=1) as gateway,
    ):
        yield gateway


def test_a_video_has_all_its_frames(tmp_path: Path):
    """data/meta lists one file for twelve frames, in three jobs that overlap."""
    with played("video", tmp_path) as gateway:
        media = gateway.media(38)
        jobs = gateway.jobs(task_id=38)

    assert media.is_video
    assert [frame.number for frame in media.frames] == list(range(12))
    assert (media.frames[5].width, media.frames[5].height) == (96, 64)
    assert media.chunk_size == 4
    assert [(job.id, job.start_frame, job.stop_frame) for job in jobs] == [
        (42, 0, 5),
        (43, 3, 8),
        (44, 6, 11),
    ]


def test_a_track_is_seen_on_every_frame_of_its_job(tmp_path: Path):
    """Job 43 holds frames 3 to 8 and the part of a track that CVAT cut out for it."""
    rows = recorded("video")[0]["setup"]["labels_of"]["task:38"]
    with played("video", tmp_path) as gateway:
        held, media = gateway.annotations(43), gateway.media(38)

    found = shapes_of_job(
        held, labels=[raw.label(row) for row in rows], media=media, frames=range(3, 9)
    )

    assert {number: objects[0].box for number, objects in found.by_frame.items()} == {
        3: (20.0, 10.0, 40.0, 30.0),
        4: (25.0, 10.0, 45.0, 30.0),
        5: (30.0, 10.0, 50.0, 30.0),
        6: (35.0, 10.0, 55.0, 30.0),
        7: (40.0, 10.0, 60.0, 30.0),
        8: (45.0, 10.0, 65.0, 30.0),
    }
    assert {one.label for objects in found.by_frame.values() for one in objects} == {"car"}
    assert found.left_out == ()


def test_replicas_have_their_parents(tmp_path: Path):
    with played("consensus", tmp_path) as gateway:
        listed = gateway.jobs(task_id=52)

    assert [(one.id, one.type, one.parent_job_id) for one in listed] == [
        (58, "annotation", None),
        (59, "consensus_replica", 58),
        (60, "consensus_replica", 58),
        (61, "annotation", None),
        (62, "consensus_replica", 61),
        (63, "consensus_replica", 61),
    ]


def test_a_task_of_the_share_in_the_order_of_its_mapping(tmp_path: Path):
    with played("share", tmp_path) as gateway:
        media = gateway.media(40)
        jobs = gateway.jobs(task_id=40)

    assert media.storage == "share"
    assert [frame.name for frame in media.frames][:3] == [
        "rec2/shr3.jpg",
        "rec2/shr0.jpg",
        "rec2/sub/deep0.jpg",
    ]
    assert [(job.start_frame, job.frame_count) for job in jobs] == [(0, 2), (2, 1), (3, 3)]


def test_a_task_whose_data_failed_is_not_ready(tmp_path: Path):
    with played("share", tmp_path) as gateway, pytest.raises(NotReadyError, match="task 49"):
        gateway.media(49)


@pytest.mark.parametrize(("user", "read_only"), [("token:3", True), ("token:4", False)])
def test_tokens_say_whether_they_may_write(tmp_path: Path, user: str, read_only: bool):
    with played("tokens", tmp_path, user=user) as gateway:
        found = gateway.identity()

    assert (found.user.username, found.read_only, found.is_admin) == ("admin", read_only, True)


def test_a_token_that_is_none_is_named(tmp_path: Path):
    with (
        played("tokens", tmp_path, user="bad-bearer") as gateway,
        pytest.raises(AuthenticationError, match="Invalid token"),
    ):
        gateway.identity()


def test_a_task_that_is_not_there_is_named(tmp_path: Path):
    with (
        played("errors", tmp_path) as gateway,
        pytest.raises(NotFoundError, match="No Task matches"),
    ):
        gateway.media(999999)


READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "projects": raw.project,
    "tasks": raw.task,
    "jobs": raw.job,
    "labels": raw.label,
    "webhooks": raw.webhook,
}


@pytest.mark.parametrize("kind", sorted(READERS))
def test_every_object_that_was_listed_can_be_read(kind: str):
    """Whatever state a real server's objects were in, none lacks what we need of it."""
    rows = [
        row
        for path in sorted(FOLDER.glob("*.jsonl"))
        for line in recorded(path.stem)
        if "request" in line
        and line["request"]["method"] == "GET"
        and urlsplit(line["request"]["path"]).path == f"/api/{kind}"
        and line["response"]["status"] == 200
        for row in line["response"]["body"]["results"]
    ]

    read = [READERS[kind](row) for row in rows]

    assert len(read) >= 5
    assert [one.id for one in read] == [row["id"] for row in rows]
