from __future__ import annotations

import pytest

from cvat_bridge.cvat.gateway import Frame, JobAnnotations, Label, Media
from cvat_bridge.ledger.records import Proposal
from cvat_bridge.loop.proposals.comparing import compare

CELL, MASKED = Label(5, "cell", "any"), Label(6, "nucleus", "mask")
MEDIA = Media(
    1, (Frame(0, "0.png", 64, 48), Frame(1, "1.png", 64, 48)), frozenset(), "local", None, False, 36
)
BLOB = (0.0, 4.0, 10.0, 10.0, 11.0, 11.0)  # 2 x 2 set pixels
MOVED = [0, 4, 11, 10, 12, 11]
SQUARE = (4.0, 4.0, 14.0, 4.0, 14.0, 14.0, 4.0, 14.0)


def proposal(
    place=0, shape_id=100, kind="rectangle", points=(4.0, 4.0, 14.0, 14.0), label=CELL, frame=0
):
    return Proposal(
        1, 7, frame, place, label.id, label.name, kind, tuple(points), 0.8, "m1", shape_id
    )


def shape(shape_id=100, kind="rectangle", points=(4.0, 4.0, 14.0, 14.0), label=CELL, **more):
    return {
        "id": shape_id,
        "type": kind,
        "frame": 0,
        "label_id": label.id,
        "points": list(points),
        "source": "semi-auto",
        "rotation": 0.0,
        **more,
    }


def outcomes(proposals, shapes=(), tracks=(), labels=(CELL, MASKED), frames=(0, 1)):
    rows = compare(
        proposals,
        JobAnnotations(shapes=tuple(shapes), tracks=tuple(tracks)),
        labels=labels,
        media=MEDIA,
        frames=frames,
        number=1,
        job_id=7,
        model="m1",
        nudge_iou=0.5,
    )
    return [(row.place, row.outcome, row.final_label) for row in rows]


@pytest.mark.parametrize(
    ("final", "outcome"),
    [
        (shape(source="auto"), "kept"),
        (shape(), "kept"),  # an attribute was set: the place is as proposed
        (shape(points=(4.0, 4.0, 14.0, 15.0)), "nudged"),
        (shape(rotation=30.0), "nudged"),
        (shape(points=(4.0, 4.0, 44.0, 44.0)), "redrawn"),
        (shape(label=MASKED), "relabelled"),
        (shape(kind="polygon", points=SQUARE), "nudged"),
    ],
    ids=["untouched", "attribute", "moved", "turned", "far", "label", "converted"],
)
def test_what_became_of_a_box(final, outcome):
    assert outcomes([proposal()], [final]) == [
        (0, outcome, "nucleus" if outcome == "relabelled" else "cell")
    ]


def test_masks_are_kept_or_nudged():
    wanted = proposal(kind="mask", points=BLOB, label=MASKED)

    assert outcomes([wanted], [shape(kind="mask", points=BLOB, label=MASKED)])[0][1] == "kept"
    assert outcomes([wanted], [shape(kind="mask", points=MOVED, label=MASKED)])[0][1] == "redrawn"


def test_each_final_object_answers_one_proposal():
    """Two proposals lie on one redrawn object: the nearer one is nudged, the other deleted."""
    near, far = proposal(0, 100), proposal(1, 101, points=(6.0, 6.0, 18.0, 18.0))
    drawn = shape(900, points=(4.0, 4.0, 14.0, 15.0), source="manual")

    assert outcomes([near, far], [drawn]) == [(0, "nudged", "cell"), (1, "deleted", "")]


def test_what_was_not_proposed_was_added_unless_another_model_put_it_there():
    mine = shape(900, points=(40.0, 4.0, 50.0, 14.0), source="manual")
    foreign = shape(901, points=(40.0, 24.0, 50.0, 34.0), source="auto")

    assert outcomes([], [mine, foreign]) == [(-1, "added", "cell")]


def test_every_frame_of_an_added_track_counts():
    track = {
        "id": 50,
        "label_id": CELL.id,
        "frame": 0,
        "source": "manual",
        "shapes": [
            {"frame": 0, "type": "rectangle", "points": [1.0, 1.0, 9.0, 9.0], "outside": False}
        ],
    }

    assert outcomes([], tracks=[track]) == [(-1, "added", "cell"), (-2, "added", "cell")]


def test_proposals_of_deleted_labels_and_frames_are_not_counted():
    assert outcomes([proposal(label=MASKED, kind="mask", points=BLOB)], labels=[CELL]) == []
    assert outcomes([proposal(frame=1)], frames=[0]) == []


def test_a_proposal_whose_write_was_never_confirmed_is_found_by_its_place():
    assert outcomes([proposal(shape_id=None)], [shape(900)]) == [(0, "kept", "cell")]
