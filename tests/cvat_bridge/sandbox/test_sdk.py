"""The unmodified cvat-sdk works against the sandbox for what the bridge uses."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cvat_sdk import models
from cvat_sdk.core.client import Client
from cvat_sdk.core.exceptions import BackgroundRequestException
from cvat_sdk.core.proxies.annotations import AnnotationUpdateAction
from cvat_sdk.core.uploading import DataUploader
from cvat_sdk.datasets import MediaDownloadPolicy, TaskDataset
from PIL import Image

from cvat_bridge.sandbox import Sandbox, running
from tests.contract.pictures import video
from tests.cvat_bridge.sandbox.conftest import connected

LABELS = [{"name": "car", "type": "rectangle"}]


def test_job_file_mapping_orders_frames_and_jobs(client: Client, images: tuple[Path, ...]) -> None:
    """Jobs of lower id hold what the mapping names first."""
    task = client.tasks.create_from_data(
        {"name": "mapped", "labels": LABELS},
        list(images[:3]),
        data_params={"image_quality": 70, "job_file_mapping": [["img2.jpg"], ["img0.jpg"]]},
    )

    frames = [frame.name for frame in task.get_meta().frames]
    jobs = sorted(task.get_jobs(), key=lambda job: job.id)

    assert frames == ["img2.jpg", "img0.jpg"]
    assert [(job.start_frame, job.stop_frame) for job in jobs] == [(0, 0), (1, 1)]
    assert task.get_frame(0, quality="original").read() == images[2].read_bytes()


def test_large_files_come_by_tus(client: Client, images: tuple[Path, ...]) -> None:
    """A file over the size of one request is uploaded in pieces, and arrives whole."""
    task = client.tasks.create({"name": "tus", "labels": LABELS})
    url = client.api_map.make_endpoint_url(
        client.api_client.tasks_api.create_data_endpoint.path, kwsub={"id": task.id}
    )
    limit = images[0].stat().st_size - 1

    response = DataUploader(client, max_request_size=limit).upload_files(
        url, [images[0]], image_quality=70
    )
    client.wait_for_completion(response.json()["rq_id"])

    task.fetch()
    assert task.size == 1
    assert task.get_frame(0, quality="original").read() == images[0].read_bytes()


def test_task_dataset_reads_images_and_labels(client: Client, images: tuple[Path, ...]) -> None:
    """TaskDataset finds every frame in its chunks, with the annotations of the task."""
    task = client.tasks.create_from_data(
        {"name": "dataset", "labels": LABELS, "segment_size": 2},
        list(images),
        data_params={"image_quality": 70, "chunk_size": 2},
    )
    label = task.get_labels()[0]
    box = models.LabeledShapeRequest(type="rectangle", frame=3, label_id=label.id,
                                     points=[1, 2, 30, 40], score=0.5)  # fmt: skip
    task.update_annotations(
        models.PatchedLabeledDataRequest(shapes=[box]), action=AnnotationUpdateAction.CREATE
    )

    samples = TaskDataset(client, task.id).samples

    assert [sample.frame_name for sample in samples] == [path.name for path in images]
    assert samples[4].media.load_image().size == (64, 48)
    assert [len(sample.annotations.shapes) for sample in samples] == [0, 0, 0, 1, 0]
    assert samples[3].annotations.shapes[0].score == 0.5


def test_video_frames_come_one_by_one(client: Client, tmp_path: Path) -> None:
    """A video's frames are found in order, each of its own shade."""
    path = tmp_path / "film.mp4"
    video(path, frames=8, size=(64, 48))
    task = client.tasks.create_from_data(
        {"name": "film", "labels": LABELS}, [path], data_params={"image_quality": 70}
    )

    dataset = TaskDataset(
        client, task.id, media_download_policy=MediaDownloadPolicy.FETCH_FRAMES_ON_DEMAND
    )
    shades = [sample.media.load_image().convert("L").getpixel((5, 5)) for sample in dataset.samples]
    with Image.open(io.BytesIO(task.get_frame(7, quality="original").read())) as last:
        kind, size = last.format, last.size

    assert task.mode == "interpolation"
    assert shades == sorted(shades)
    assert len(set(shades)) == 8
    assert (kind, size) == ("PNG", (64, 48))


def test_a_broken_image_fails_the_request_with_its_name(client: Client, tmp_path: Path) -> None:
    """What cannot be read is told by name, not dropped."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image at all")

    with pytest.raises(BackgroundRequestException, match=r"bad\.jpg"):
        client.tasks.create_from_data(
            {"name": "bad", "labels": LABELS}, [bad], data_params={"image_quality": 70}
        )


def test_state_survives_a_restart(tmp_path: Path, images: tuple[Path, ...]) -> None:
    """The same folder brings back tasks, frames, annotations and tokens."""
    with running(tmp_path) as first, connected(first) as client:
        task = client.tasks.create_from_data(
            {"name": "kept", "labels": LABELS}, [images[0]], data_params={"image_quality": 70}
        )
        box = models.LabeledShapeRequest(
            type="rectangle", frame=0, label_id=task.get_labels()[0].id, points=[1, 2, 3, 4]
        )
        job = task.get_jobs()[0]
        job.update_annotations(
            models.PatchedLabeledDataRequest(shapes=[box]), action=AnnotationUpdateAction.CREATE
        )
        before = job.get_annotations().shapes[0].to_dict()

    with running(tmp_path) as second:
        moved = Sandbox(second.url, second.admin, first.admin_token, tmp_path, second.pid)
        with connected(moved) as client:
            again = client.tasks.retrieve(task.id)
            after = again.get_jobs()[0].get_annotations().shapes[0].to_dict()
            content = again.get_frame(0, quality="original").read()

    assert after == before
    assert content == images[0].read_bytes()
