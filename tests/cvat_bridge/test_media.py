"""Frames of tasks that begin in the middle of their source, and of ground-truth jobs in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.gateway import Media
from cvat_bridge.errors import GatewayError
from tests.fakes.scripted import Answer, Asked, scripted

JOB = {
    "id": 3,
    "task_id": 5,
    "project_id": 7,
    "type": "ground_truth",
    "stage": "annotation",
    "state": "new",
    "start_frame": 0,
    "stop_frame": 3,
    "frame_count": 2,
}


def a_row(name: str) -> dict[str, Any]:
    return {"name": name, "width": 40, "height": 30}


TASK_META = {
    "size": 4,
    "chunk_size": 36,
    "start_frame": 10,
    "stop_frame": 17,
    "frame_filter": "step=2",
    "frames": [a_row(f"{n}.png") for n in (10, 12, 14, 16)],
    "deleted_frames": [2],
    "included_frames": None,
    "storage": "cloud_storage",
    "cloud_storage_id": 4,
    "chunks_updated_date": "2026-01-01T00:00:00Z",
}
JOB_META = {
    **TASK_META,
    "size": 2,
    "frames": [a_row(name) for name in ("placeholder.jpg", "12.png", "placeholder.jpg", "16.png")],
    "included_frames": [12, 16],
    "deleted_frames": [3],
}


def read(folder: Path, **answers: Any) -> Any:
    """Ask a client of a server with task 5 and its ground-truth job 3."""
    pages = {
        "/api/tasks/5/data/meta": answers.get("task_meta", TASK_META),
        "/api/jobs/3/data/meta": answers.get("job_meta", JOB_META),
        "/api/jobs/3": {**JOB, **answers.get("job", {})},
        "/api/tasks/5": {"id": 5, "name": "t", "mode": answers.get("mode", "annotation")},
    }

    def answer(asked: Asked) -> Answer:
        return Answer(200, pages[asked.path])

    with (
        scripted(answer) as server,
        connect(server.url, token="secret", cache_dir=folder) as gateway,
    ):
        return answers["ask"](gateway)


def job_media(gateway: CvatClient) -> Media:
    return gateway.job_media(3)


def task_media(gateway: CvatClient) -> Media:
    return gateway.media(5)


def test_a_ground_truth_job_picks_by_source_numbers(tmp_path: Path):
    """data/meta says 12 and 16 of a source that is read from 10 in steps of 2: frames 1 and 3.

    Frame 3 is switched off by validation, frame 2 deleted in the task but not in the job.
    """
    media = read(tmp_path, ask=job_media)

    assert [(frame.number, frame.name) for frame in media.frames] == [(1, "12.png"), (3, "16.png")]
    assert media.included == {1, 3}
    assert media.deleted == {3}


def test_an_ordinary_job_has_its_range(tmp_path: Path):
    job = {"type": "annotation", "start_frame": 1, "stop_frame": 2}

    media = read(tmp_path, ask=job_media, job=job)

    assert [frame.number for frame in media.frames] == [1, 2]
    assert (media.included, media.deleted) == (None, {2})


def test_a_task_says_where_its_files_lie(tmp_path: Path):
    media = read(tmp_path, ask=task_media)

    assert (media.storage, media.cloud_storage_id, media.chunk_size) == ("cloud_storage", 4, 36)
    assert (media.frames[2].width, media.frames[2].height) == (40, 30)
    assert media.deleted == {2}


@pytest.mark.parametrize(("mode", "is_video"), [("annotation", False), ("interpolation", True)])
def test_of_one_frame_the_tasks_mode_tells_what_it_is(tmp_path: Path, mode: str, is_video: bool):
    meta = {**TASK_META, "size": 1, "frames": [a_row("clip.mp4")], "frame_filter": ""}

    media = read(tmp_path, ask=task_media, task_meta=meta, mode=mode)

    assert media.is_video == is_video
    assert [frame.name for frame in media.frames] == ["clip_000000.png" if is_video else "clip.mp4"]


def test_frames_of_a_video_have_names_of_their_own(tmp_path: Path):
    meta = {**TASK_META, "size": 3, "frames": [a_row("folder/clip.mp4")]}

    media = read(tmp_path, ask=task_media, task_meta=meta)

    assert [frame.name for frame in media.frames] == [f"clip_00000{n}.png" for n in range(3)]


def test_a_list_of_another_length_is_an_error(tmp_path: Path):
    meta = {**TASK_META, "size": 9}

    with pytest.raises(GatewayError, match="9 frames and lists 4"):
        read(tmp_path, ask=task_media, task_meta=meta)
