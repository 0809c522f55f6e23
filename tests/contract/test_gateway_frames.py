"""Frames at original quality, of images and videos, and which frames there are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cvat_bridge.errors import NotFoundError, NotReadyError
from tests.contract.stage import Stage, pictures, unique
from tests.fakes.videos import clip, shade


@pytest.fixture(scope="module")
def images(stage: Stage, project_id: int) -> tuple[int, dict[str, bytes]]:
    """Return a task of six JPEGs in three jobs, and its files."""
    files = pictures(6, kind="JPEG")
    return stage.add_task(project_id, files, segment_size=2), files


def test_media_tells_every_frame(stage: Stage, images: tuple[int, dict[str, bytes]]):
    task, files = images

    media = stage.gateway.media(task)

    assert [frame.number for frame in media.frames] == list(range(6))
    assert [frame.name for frame in media.frames] == list(files)
    assert {(frame.width, frame.height) for frame in media.frames} == {(64, 48)}
    assert (media.is_video, media.storage, media.deleted) == (False, "local", frozenset())
    assert media.included is None


def test_frames_are_the_original_bytes(stage: Stage, images: tuple[int, dict[str, bytes]]):
    task, files = images

    got = list(stage.gateway.frames(task, range(6)))

    assert got == list(enumerate(files.values()))


def test_frames_come_in_rising_order_whatever_was_asked(
    stage: Stage, images: tuple[int, dict[str, bytes]]
):
    task, files = images
    content = list(files.values())

    got = list(stage.gateway.frames(task, [5, 0, 3, 0]))

    assert got == [(0, content[0]), (3, content[3]), (5, content[5])]
    assert list(stage.gateway.frames(task, [])) == []


def test_a_frame_that_the_task_has_not_is_an_error(
    stage: Stage, images: tuple[int, dict[str, bytes]]
):
    with pytest.raises(NotFoundError, match="frame 6"):
        list(stage.gateway.frames(images[0], [1, 6]))


def test_a_job_has_its_own_frames_under_the_numbers_of_the_task(
    stage: Stage, images: tuple[int, dict[str, bytes]]
):
    task, files = images
    job = stage.gateway.jobs(task_id=task)[1]

    media = stage.gateway.job_media(job.id)

    assert [(frame.number, frame.name) for frame in media.frames] == list(enumerate(files))[2:4]
    assert media.included is None


def test_turned_jpegs_come_upright(stage: Stage, project_id: int):
    """An image that EXIF turns is as large in data/meta as it is in the bytes given."""
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), (200, 30, 30)).save(content, format="JPEG", exif=exif)
    task = stage.add_task(project_id, {"turned.jpg": content.getvalue()})

    frame = stage.gateway.media(task).frames[0]
    ((_, given),) = stage.gateway.frames(task, [0])

    assert (frame.width, frame.height) == (20, 40)
    with Image.open(io.BytesIO(given)) as image:
        assert image.size == (20, 40)
        assert image.getexif().get(0x0112, 1) == 1


def test_video_frames_come_as_png_each_in_its_place(stage: Stage, project_id: int):
    """Frames of several chunks and overlapping jobs are told apart by their grey."""
    task = stage.add_video_task(project_id, clip(12), 12)

    media = stage.gateway.media(task)
    got = dict(stage.gateway.frames(task, [0, 3, 4, 7, 8, 11]))

    assert stage.gateway.task(task).mode == "interpolation"
    assert media.is_video
    assert len(media.frames) == 12
    assert len({frame.name for frame in media.frames}) == 12
    assert (media.frames[11].width, media.frames[11].height) == (96, 64)
    assert sorted(got) == [0, 3, 4, 7, 8, 11]
    for number, png in got.items():
        with Image.open(io.BytesIO(png)) as image:
            assert image.format == "PNG"
            assert abs(float(np.asarray(image).mean()) - shade(number)) < 4


def test_deleted_frames_add_up_and_keep_their_numbers(stage: Stage, project_id: int):
    task = stage.add_task(project_id, pictures(5), segment_size=3)

    stage.gateway.set_deleted_frames(task, [1])
    stage.gateway.set_deleted_frames(task, [4, 1])

    media = stage.gateway.media(task)
    assert media.deleted == {1, 4}
    assert [frame.number for frame in media.frames] == [0, 1, 2, 3, 4]
    second = stage.gateway.jobs(task_id=task)[1]
    assert stage.gateway.job_media(second.id).deleted == {4}
    assert dict(stage.gateway.frames(task, [1])).keys() == {1}


def test_a_ground_truth_job_holds_the_frames_it_was_given(stage: Stage, project_id: int):
    """Its media are those frames under their own names, without CVAT's placeholders."""
    task = stage.add_task(project_id, pictures(6), segment_size=3)
    number = stage.add_ground_truth_job(task, [1, 4])

    jobs = stage.gateway.jobs(task_id=task)
    media = stage.gateway.job_media(number)

    assert [job.type for job in jobs] == ["annotation", "annotation", "ground_truth"]
    assert jobs[2].frame_count == 2
    assert stage.gateway.task(task).validation_mode == "gt"
    assert [(frame.number, frame.name) for frame in media.frames] == [
        (1, "frame_01.png"),
        (4, "frame_04.png"),
    ]
    assert media.included == {1, 4}


def test_a_task_without_data_is_not_ready(stage: Stage, project_id: int):
    task = stage.add_empty_task(project_id, unique("empty"))

    assert stage.gateway.task(task).size == 0
    with pytest.raises(NotReadyError, match=str(task)):
        stage.gateway.media(task)
