from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import (
    AuthenticationError,
    LabelMismatchError,
    NothingToDoError,
    UnreachableError,
)
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import pull
from cvat_bridge.settings import RoundSettings
from tests.fakes.faulty import DyingGateway, KilledError
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer
from trainer.errors import DatasetError

ALL_TRAIN = RoundSettings(holdout_share=0.0)


def files(count, first=0):
    return {f"{n}.png": picture(n) for n in range(first, first + count)}


def box(server, project, frame, *points, label="cell", **more):
    label_id = server.label(project.id, label).id
    points = list(points or (1.0, 2.0, 31.0, 22.0))
    return {"type": "rectangle", "frame": frame, "label_id": label_id, "points": points, **more}


def twin(content):
    """Save a picture again, larger and as a JPEG: other bytes, the same image to the eye."""
    with Image.open(io.BytesIO(content)) as image:
        again = io.BytesIO()
        image.resize((image.width * 2, image.height * 2)).save(again, format="JPEG", quality=90)
    return again.getvalue()


def bring(gateway, ledger, project, home, now, settings=ALL_TRAIN):
    facts = gather(gateway, ledger, project.id, settings)
    return pull(gateway, ledger, facts, home=home, settings=settings, now=now)


def finished(server, project, images, *, segment_size=2, **more):
    task = server.add_task(project.id, images, segment_size=segment_size, **more)
    for job in server.jobs_of(task.id):
        server.annotate(job.id, shapes=[box(server, project, job.start_frame)])
        server.finish(job.id)
    return task


def by_frame(dataset):
    return {(i.extra["task"], i.extra["frame"]): i for i in dataset.images}


@pytest.fixture
def project(server):
    return server.add_project("cells", ["cell", ("nucleus", "mask")])


def test_labels_come_back_as_they_were_drawn(server, ledger, project, home, now):
    task = server.add_task(project.id, files(3))
    (job,) = server.jobs_of(task.id)
    nucleus = server.label(project.id, "nucleus").id
    server.annotate(
        job.id,
        shapes=[
            box(server, project, 0, 1.0, 2.0, 31.0, 22.0),
            # a 3 x 2 box at (10, 20) whose middle pixels are set
            {
                "type": "mask",
                "frame": 1,
                "label_id": nucleus,
                "points": [1, 1, 2, 1, 1, 10, 20, 12, 21],
            },
        ],
    )
    server.finish(job.id)

    images = by_frame(bring(FakeGateway(server), ledger, project, home, now).dataset)

    (cell,), (mask,) = images[task.id, 0].objects, images[task.id, 1].objects
    rows, columns = np.nonzero(mask.bitmap(48, 64))
    assert (cell.box, cell.class_id, cell.segmentation) == ((1.0, 2.0, 31.0, 22.0), 0, None)
    assert (mask.class_id, rows.tolist(), columns.tolist()) == (1, [20, 21], [11, 11])
    assert images[task.id, 2].objects == ()  # finished and empty: a valid negative
    assert images[task.id, 2].split == "train"


def test_the_manifest_tells_where_every_image_came_from(server, ledger, project, home, now):
    task = finished(server, project, files(2))
    (job,) = server.jobs_of(task.id)

    pulled = bring(FakeGateway(server), ledger, project, home, now)

    manifest = json.loads((pulled.dataset.path / "manifest.json").read_text())
    rows = [
        (row["extra"]["task"], row["extra"]["frame"], row["extra"]["job"], len(row["sha256"]))
        for row in manifest["images"]
    ]
    assert sorted(rows) == [(task.id, 0, job.id, 64), (task.id, 1, job.id, 64)]
    assert {row["extra"]["job_updated_date"] for row in manifest["images"]} == {
        server.jobs[job.id].updated_date
    }
    assert sum(row["extra"]["object_sources"].get("manual", 0) for row in manifest["images"]) == 1
    assert pulled.dataset.path.name == pulled.dataset.fingerprint == manifest["fingerprint"]
    assert ledger.used_jobs()[job.id].fingerprint == pulled.dataset.fingerprint


def test_only_what_changed_is_pulled_again(server, ledger, project, home, now):
    task = finished(server, project, files(4))
    gateway = FakeGateway(server)
    first = bring(gateway, ledger, project, home, now)
    again = bring(gateway, ledger, project, home, now)
    server.annotate(server.jobs_of(task.id)[1].id, shapes=[box(server, project, 3)])
    finished(server, project, files(1, first=10))
    third = bring(gateway, ledger, project, home, now)

    assert (first.fetched, first.read) == (4, 2)
    assert (again.fetched, again.read) == (0, 0)
    assert again.dataset.fingerprint == first.dataset.fingerprint
    assert (third.fetched, third.read) == (1, 2)
    assert third.dataset.fingerprint != first.dataset.fingerprint


def test_what_people_write_while_we_read_is_read_the_next_time(server, ledger, project, home, now):
    task = finished(server, project, files(2))
    (job,) = server.jobs_of(task.id)
    gateway = FakeGateway(server)
    facts = gather(gateway, ledger, project.id, ALL_TRAIN)
    server.annotate(job.id, shapes=[box(server, project, 1)])  # after the facts
    pull(gateway, ledger, facts, home=home, settings=ALL_TRAIN, now=now)

    assert gather(gateway, ledger, project.id, ALL_TRAIN).changes.edited == (job.id,)
    assert bring(gateway, ledger, project, home, now).read == 1


def test_renamed_and_deleted_labels_are_told_by_id(server, ledger, project, home, now):
    task = finished(server, project, files(2))
    nucleus = server.label(project.id, "nucleus")
    (job,) = server.jobs_of(task.id)
    dot = {"type": "mask", "frame": 1, "label_id": nucleus.id, "points": [0, 1, 3, 3, 3, 3]}
    server.annotate(job.id, shapes=[dot])
    gateway = FakeGateway(server)
    bring(gateway, ledger, project, home, now)
    cell, _ = server.labels[project.id]
    server.labels[project.id] = (replace(cell, name="blood cell"), Label(999, "debris", "any"))

    pulled = bring(gateway, ledger, project, home, now)

    assert pulled.notes == (
        "label 'cell' is now called 'blood cell'; its objects keep their meaning",
        "label 'nucleus' was deleted, and its objects with it",
        "label 'debris' is new",
    )
    assert pulled.dataset.labels.names == ("blood cell", "debris")
    objects = by_frame(pulled.dataset)[task.id, 0].objects
    assert [pulled.dataset.labels.name_of(one.class_id) for one in objects] == ["blood cell"]
    assert pulled.read == 0
    assert any(f"label {nucleus.id} is none" in row.reason for row in pulled.skipped)


def test_labels_that_cannot_be_learned_are_named(server, ledger, home, now):
    project = server.add_project("poses", ["cell", ("person", "skeleton"), ("joint", "points")])
    task = finished(server, project, files(1))
    joint = server.label(project.id, "joint").id
    point = {"type": "points", "frame": 0, "label_id": joint, "points": [1.0, 2.0]}
    server.annotate(server.jobs_of(task.id)[0].id, shapes=[point])

    pulled = bring(FakeGateway(server), ledger, project, home, now)

    assert pulled.dataset.labels.names == ("cell",)
    assert {(row.what.split(": ")[-1], row.reason) for row in pulled.skipped} == {
        ("label 'person'", "skeleton cannot be learned"),
        ("label 'joint'", "points cannot be learned"),
        ("1 points", "points cannot be learned"),
    }


@pytest.mark.parametrize("labels", [[], [("person", "skeleton")]], ids=["none", "skeletons"])
def test_a_project_without_a_label_to_learn_is_a_clear_error(server, ledger, home, now, labels):
    project = server.add_project("poses", labels)
    task = server.add_task(project.id, files(1))
    server.finish(server.jobs_of(task.id)[0].id)

    with pytest.raises(LabelMismatchError, match="Add a label of one of these types"):
        bring(FakeGateway(server), ledger, project, home, now)


def test_without_a_finished_job_there_is_nothing_to_pull(server, ledger, project, home, now):
    server.add_task(project.id, files(2))

    with pytest.raises(NothingToDoError, match="no finished job"):
        bring(FakeGateway(server), ledger, project, home, now)


def test_broken_images_are_named_and_the_others_are_pulled(server, ledger, project, home, now):
    task = finished(server, project, files(3), segment_size=3)
    stored = server.tasks[task.id]
    good = stored.files
    stored.files = (good[0], b"no image at all", good[2][:40])
    gateway = FakeGateway(server)

    pulled = bring(gateway, ledger, project, home, now)
    again = bring(gateway, ledger, project, home, now)

    assert set(by_frame(pulled.dataset)) == {(task.id, 0)}
    assert [row.what for row in pulled.skipped] == [f"{task.id}/1", f"{task.id}/2"]
    assert [row.what for row in again.skipped] == [f"{task.id}/1", f"{task.id}/2"]
    assert again.fetched == 0  # what is known to be broken is not fetched again


def encoded(mode, kind, **options):
    """Write a 64 x 48 picture in a Pillow mode and format."""
    pixels = np.linspace(0, 255, 64 * 48).reshape(48, 64)
    image = Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
    if mode == "I;16":
        image = Image.fromarray((pixels * 257).astype(np.uint16))
    elif mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image, options = image.resize((48, 64)), {"exif": exif}
    else:
        image = image.convert(mode)
    content = io.BytesIO()
    image.save(content, format=kind, **options)
    return content.getvalue()


def test_unusual_images_are_pulled_at_the_size_that_people_saw(server, ledger, project, home, now):
    images = {
        "deep.png": encoded("I;16", "PNG"),
        "clear.png": encoded("RGBA", "PNG"),
        "print.jpg": encoded("CMYK", "JPEG"),
        "gray.bmp": encoded("L", "BMP"),
        "turned.jpg": encoded("turned", "JPEG"),
    }
    task = finished(server, project, images, segment_size=5)

    pulled = bring(FakeGateway(server), ledger, project, home, now)

    assert pulled.skipped == ()
    assert len(by_frame(pulled.dataset)) == 5
    for image in pulled.dataset.images:
        assert pulled.dataset.read(image).shape == (48, 64, 3)
    assert by_frame(pulled.dataset)[task.id, 4].file_name.endswith(".jpg")


def test_when_every_image_is_broken_it_is_an_error(server, ledger, project, home, now):
    task = finished(server, project, files(2))
    server.tasks[task.id].files = (b"no image", b"no image either")

    with pytest.raises(DatasetError, match="none of the labelled images can be read"):
        bring(FakeGateway(server), ledger, project, home, now)


def test_a_frame_that_alone_cannot_be_given_is_skipped_and_tried_again(
    server, ledger, project, home, now
):
    task = finished(server, project, files(2))
    gateway = FakeGateway(server)
    gone = UnreachableError("read", "frames", 500, "chunk failed")
    gateway.fail("frames", gone, gone)  # together, then frame 0 alone

    pulled = bring(gateway, ledger, project, home, now)
    again = bring(gateway, ledger, project, home, now)

    assert set(by_frame(pulled.dataset)) == {(task.id, 1)}
    assert "chunk failed" in pulled.skipped[0].reason
    assert set(by_frame(again.dataset)) == {(task.id, 0), (task.id, 1)}


def test_an_unreachable_server_is_never_taken_for_broken_images(server, ledger, project, home, now):
    finished(server, project, files(2))
    gateway = FakeGateway(server)
    gone = UnreachableError("read", "frames", None, "no route")
    gateway.fail("frames", gone, gone)
    gateway.fail("task", gone)

    with pytest.raises(UnreachableError):
        bring(gateway, ledger, project, home, now)
    assert ledger.frames() == {}


def test_a_refused_token_ends_the_pull(server, ledger, project, home, now):
    finished(server, project, files(2))
    gateway = FakeGateway(server)
    gateway.fail("frames", AuthenticationError("read", "frames", 403, "no"))

    with pytest.raises(AuthenticationError):
        bring(gateway, ledger, project, home, now)


def test_a_share_of_the_images_is_held_out_and_stays_so(server, ledger, project, home, now):
    settings = RoundSettings(holdout_share=0.25)
    finished(server, project, files(8))
    gateway = FakeGateway(server)
    first = bring(gateway, ledger, project, home, now, settings)
    held = {k for k, i in by_frame(first.dataset).items() if i.split == "holdout"}
    finished(server, project, files(8, first=20))
    second = bring(gateway, ledger, project, home, now, settings)
    later = {k for k, i in by_frame(second.dataset).items() if i.split == "holdout"}

    assert (first.train, first.holdout) == (6, 2)
    assert (second.train, second.holdout) == (12, 4)
    assert held < later


def test_the_same_image_in_two_tasks_is_one_image_with_the_later_labels(
    server, ledger, project, home, now
):
    first = finished(server, project, files(1))
    second = server.add_task(project.id, files(1))
    server.finish(server.jobs_of(second.id)[0].id)

    pulled = bring(FakeGateway(server), ledger, project, home, now)

    assert set(by_frame(pulled.dataset)) == {(second.id, 0)}
    assert [row.what for row in pulled.skipped] == [f"{first.id}/0"]


def test_near_duplicates_of_the_holdout_are_never_trained_on(server, ledger, project, home, now):
    """The same picture at another size and in another task follows the ground truth's side."""
    task = server.add_task(project.id, files(2))
    truth = server.add_ground_truth_job(task.id, [0])
    near = server.add_task(project.id, {"0.jpg": twin(picture(0))})
    for job in (*server.jobs_of(task.id), *server.jobs_of(near.id)):
        server.finish(job.id)

    dataset = bring(FakeGateway(server), ledger, project, home, now).dataset

    assert {key: image.split for key, image in by_frame(dataset).items()} == {
        (task.id, 0): "holdout",
        (task.id, 1): "train",
        (near.id, 0): "holdout",
    }
    assert by_frame(dataset)[task.id, 0].extra["job"] == truth.id


def test_an_image_trained_on_leaves_when_its_twin_is_held_out_later(
    server, ledger, project, home, now
):
    near = server.add_task(project.id, {"0.jpg": twin(picture(0))})
    server.finish(server.jobs_of(near.id)[0].id)
    finished(server, project, files(1, first=5))
    gateway = FakeGateway(server)
    bring(gateway, ledger, project, home, now)
    task = server.add_task(project.id, files(1))
    server.finish(server.add_ground_truth_job(task.id, [0]).id)

    pulled = bring(gateway, ledger, project, home, now)

    assert (near.id, 0) not in by_frame(pulled.dataset)
    assert (f"{near.id}/0", "nearly the same as an image of the holdout") in {
        (row.what, row.reason) for row in pulled.skipped
    }


def _world():
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    finished(server, project, files(4))
    server.finish(server.add_ground_truth_job(finished(server, project, files(2, 10)).id, [1]).id)
    return server, project


def test_killed_at_any_call_a_pull_ends_in_the_same_snapshot(tmp_path, now):
    server, project = _world()
    whole, calls = Home(tmp_path / "whole"), DyingGateway(FakeGateway(server))
    with Ledger(whole.ledger) as ledger:
        expected = bring(calls, ledger, project, whole, now)
        used = ledger.used_jobs()
    assert len(calls.calls) > 8

    for at in range(1, len(calls.calls) + 1):
        home = Home(tmp_path / f"killed-{at}")
        with Ledger(home.ledger) as ledger, pytest.raises(KilledError):
            bring(DyingGateway(FakeGateway(server), at=at), ledger, project, home, now)
        with Ledger(home.ledger) as ledger:
            pulled = bring(FakeGateway(server), ledger, project, home, now)

            assert pulled.dataset.fingerprint == expected.dataset.fingerprint, f"call {at}"
            assert ledger.used_jobs() == used, f"call {at}"


def test_frames_that_moved_to_the_ground_truth_are_said_as_that(server, ledger, project, home, now):
    """Wherever in the job they lie, and though the ground-truth job is not finished yet."""
    task = finished(server, project, files(4))
    server.add_ground_truth_job(task.id, [0, 2])
    alone = server.add_task(project.id, files(1, 20))
    server.add_ground_truth_job(alone.id, [0])
    (whole,) = [job for job in server.jobs_of(alone.id) if job.type == "annotation"]
    server.finish(whole.id)
    first, second = [one for one in server.jobs_of(task.id) if one.type == "annotation"]

    pulled = bring(FakeGateway(server), ledger, project, home, now)

    told = {row.what: row.reason for row in pulled.skipped}
    for job, frame in ((first, 0), (second, 2)):
        why = told[f"job {job.id}: 1 object on frame {frame}"]
        assert "ground-truth job holds these frames now" in why
    assert "none of its frames is its own" in told[f"job {whole.id}"]
    assert set(by_frame(pulled.dataset)) == {(task.id, 1), (task.id, 3)}
