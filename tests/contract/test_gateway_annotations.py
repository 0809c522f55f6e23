"""Writing and reading annotations; a repetition doubles nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cvat_bridge.cvat.gateway import Job
from cvat_bridge.errors import GatewayError, NotFoundError
from tests.contract.stage import Stage, pictures

POINTS: dict[str, list[float]] = {
    "cell": [4.25, 5.5, 30.125, 20.75],
    "ring": [20.5, 20.0, 28.5, 15.0],
    "nucleus": [1, 2, 2, 1, 10, 8, 12, 9],
    "tissue": [1.0, 2.0, 10.5, 2.0, 8.0, 12.25],
}
TYPES = {"cell": "rectangle", "ring": "ellipse", "nucleus": "mask", "tissue": "polygon"}


@pytest.fixture
def job(stage: Stage, project_id: int) -> Job:
    """Return a job of three frames without annotations."""
    return stage.gateway.jobs(task_id=stage.add_task(project_id, pictures(3)))[0]


@pytest.fixture
def label_ids(stage: Stage, project_id: int) -> dict[str, int]:
    return {label.name: label.id for label in stage.gateway.labels(project_id=project_id)}


def a_shape(label_ids: dict[str, int], name: str = "cell", **changes: Any) -> dict[str, Any]:
    return {
        "type": TYPES[name],
        "frame": 0,
        "label_id": label_ids[name],
        "points": POINTS[name],
        "source": "auto",
        "score": 0.75,
        **changes,
    }


@pytest.mark.parametrize("name", sorted(POINTS))
def test_every_shape_type_comes_back_as_written(
    stage: Stage, job: Job, label_ids: dict[str, int], name: str
):
    """Type, points, frame, source and score survive, for each kind of shape we write."""
    wanted = a_shape(label_ids, name, frame=1)

    written = stage.gateway.create_annotations(job.id, shapes=[wanted])

    (held,) = stage.gateway.annotations(job.id).shapes
    assert {key: held[key] for key in wanted} == wanted
    assert held["id"] == written.shapes[0]["id"] > 0


def test_rotation_attributes_and_tags_are_kept(
    stage: Stage, job: Job, label_ids: dict[str, int], project_id: int
):
    spec = stage.gateway.labels(project_id=project_id)[0].attributes[0].id
    shape = a_shape(label_ids, rotation=30.0, attributes=[{"spec_id": spec, "value": "87"}])
    tag = {"frame": 2, "label_id": label_ids["blurred"], "source": "auto"}

    written = stage.gateway.create_annotations(job.id, shapes=[shape], tags=[tag])

    held = stage.gateway.annotations(job.id)
    assert held.shapes[0]["rotation"] == 30.0
    assert held.shapes[0]["attributes"] == [{"spec_id": spec, "value": "87"}]
    assert [(one["frame"], one["label_id"], one["source"]) for one in held.tags] == [
        (2, label_ids["blurred"], "auto")
    ]
    assert written.tags[0]["id"] == held.tags[0]["id"]


def test_writing_again_doubles_nothing(stage: Stage, job: Job, label_ids: dict[str, int]):
    """What is there is found, what is missing is written, and answers stand in order."""
    first = [a_shape(label_ids), a_shape(label_ids, "nucleus")]
    tags = [{"frame": 1, "label_id": label_ids["blurred"], "source": "auto"}]
    before = stage.gateway.create_annotations(job.id, shapes=first, tags=tags)

    more = [a_shape(label_ids, frame=2), *first]
    after = stage.gateway.create_annotations(job.id, shapes=more, tags=tags)

    held = stage.gateway.annotations(job.id)
    assert len(held.shapes) == 3
    assert len(held.tags) == 1
    assert [one["id"] for one in after.shapes[1:]] == [one["id"] for one in before.shapes]
    assert after.shapes[0]["frame"] == 2
    assert after.tags[0]["id"] == before.tags[0]["id"]


def test_what_the_caller_knows_is_not_written_again(
    stage: Stage, job: Job, label_ids: dict[str, int]
):
    """With `known` the job need not be read: what is in it is not doubled, the rest is added."""
    first, second = a_shape(label_ids), a_shape(label_ids, "ring")
    stage.gateway.create_annotations(job.id, shapes=[first])
    known = stage.gateway.annotations(job.id)

    written = stage.gateway.create_annotations(job.id, shapes=[first, second], known=known)

    held = stage.gateway.annotations(job.id).shapes
    assert [one["id"] for one in written.shapes] == [one["id"] for one in held]
    assert [one["type"] for one in held] == ["rectangle", "ellipse"]


def test_a_persons_shape_in_the_same_place_is_another_one(
    stage: Stage, job: Job, label_ids: dict[str, int]
):
    """The source tells them apart: ours is written beside a manual one."""
    stage.annotate(job.id, shapes=[a_shape(label_ids, source="manual", score=1.0)])

    stage.gateway.create_annotations(job.id, shapes=[a_shape(label_ids)])

    held = stage.gateway.annotations(job.id).shapes
    assert sorted(one["source"] for one in held) == ["auto", "manual"]


def test_more_shapes_than_one_request_holds(stage: Stage, job: Job, label_ids: dict[str, int]):
    shapes = [
        a_shape(label_ids, points=[i % 60, i // 60, i % 60 + 2.5, i // 60 + 2.5])
        for i in range(1100)
    ]

    written = stage.gateway.create_annotations(job.id, shapes=shapes)

    held = {one["id"]: one["points"] for one in stage.gateway.annotations(job.id).shapes}
    assert len(held) == 1100
    assert [held[one["id"]] for one in written.shapes] == [one["points"] for one in shapes]


def test_deleting_by_id_leaves_the_rest_and_forgives_what_is_gone(
    stage: Stage, job: Job, label_ids: dict[str, int]
):
    shapes = [a_shape(label_ids), a_shape(label_ids, "tissue"), a_shape(label_ids, "ring")]
    written = stage.gateway.create_annotations(job.id, shapes=shapes).shapes

    stage.gateway.delete_annotations(job.id, written[:2])
    stage.gateway.delete_annotations(job.id, written[:2])

    assert [one["id"] for one in stage.gateway.annotations(job.id).shapes] == [written[2]["id"]]


def test_tracks_are_read_with_their_keyframes(stage: Stage, job: Job, label_ids: dict[str, int]):
    corner = {"type": "rectangle", "occluded": False, "outside": False, "attributes": []}
    stage.annotate(
        job.id,
        tracks=[
            {
                "frame": 0,
                "label_id": label_ids["cell"],
                "group": 0,
                "source": "manual",
                "attributes": [],
                "shapes": [
                    {**corner, "frame": 0, "points": [0.0, 0.0, 10.0, 10.0]},
                    {**corner, "frame": 2, "points": [20.0, 0.0, 30.0, 10.0]},
                ],
            }
        ],
    )

    (track,) = stage.gateway.annotations(job.id).tracks

    assert track["label_id"] == label_ids["cell"]
    assert [(one["frame"], one["points"]) for one in track["shapes"]] == [
        (0, [0.0, 0.0, 10.0, 10.0]),
        (2, [20.0, 0.0, 30.0, 10.0]),
    ]


def test_a_job_without_annotations_is_empty(stage: Stage, job: Job):
    held = stage.gateway.annotations(job.id)

    assert (held.shapes, held.tags, held.tracks) == ((), (), ())


def test_writing_nothing_changes_nothing(stage: Stage, job: Job):
    before = stage.gateway.job(job.id)

    written = stage.gateway.create_annotations(job.id)

    assert (written.shapes, written.tags) == ((), ())
    assert stage.gateway.job(job.id) == before


def test_a_label_of_another_project_is_refused(stage: Stage, job: Job, label_ids: dict[str, int]):
    """CVAT says what it does not like, and nothing is written."""
    shapes = [a_shape(label_ids), a_shape(label_ids, label_id=10_000_019)]

    with pytest.raises(GatewayError, match="10000019") as refused:
        stage.gateway.create_annotations(job.id, shapes=shapes)

    assert refused.value.status == 400
    assert stage.gateway.annotations(job.id).shapes == ()


def test_writing_to_a_job_that_is_not_there(stage: Stage, label_ids: dict[str, int]):
    with pytest.raises(NotFoundError, match="10000019"):
        stage.gateway.create_annotations(10_000_019, shapes=[a_shape(label_ids)])
