"""What leaves for the editor: shown whatever its estimate, asked by a box, true to its outline."""

import base64

import cv2
import numpy as np
import pytest

from serverless.host.models import answer_interactor, load
from serverless.store.describe import describe, faults_in
from serverless.store.folders import shipped
from serverless.wire.answers import SHOWN_FROM, interactor_answer
from serverless.wire.outline import redrawn_mask
from serverless.wire.requests import InteractorRequest, interactor_request
from trainer.detections import Mask
from trainer.interactor import Candidate

NONE = np.zeros((0, 2))
SIZE = (120, 180)


@pytest.fixture(scope="module")
def functions():
    return {entry.id: entry for entry in shipped()}


@pytest.fixture(scope="module")
def model(functions):
    return load(functions["box-to-mask"])


def truth():
    found = np.zeros(SIZE, np.uint8)
    cv2.ellipse(found, (90, 60), (60, 40), 0, 0, 360, 1, -1)
    return found > 0


def body(**more):
    pixels = np.full((*SIZE, 3), 120, np.uint8)
    pixels[truth()] = (30, 60, 220)
    encoded = base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    return {"image": encoded, "pos_points": [], "neg_points": [], "obj_bbox": []} | more


def bitmap(answer):
    (shape,) = answer["shapes"]
    *runs, left, top, right, bottom = shape["points"]
    flat = np.concatenate([np.full(n, i % 2, bool) for i, n in enumerate(runs)])
    frame = np.zeros(SIZE, bool)
    frame[top : bottom + 1, left : right + 1] = flat.reshape(bottom - top + 1, right - left + 1)
    return frame


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_the_mask_that_a_person_asked_for_is_shown_whatever_its_estimate():
    """CVAT's slider begins at 0.5 and hides what is below."""
    square = Mask(np.ones((4, 4), bool), 2, 2)
    doubted, worse = Candidate(square, 0.31), Candidate(square, 0.2)

    answer = interactor_answer([worse, doubted], size=SIZE, user_agent="CVAT/2.73.0")

    values = [float(shape["attributes"][0]["value"]) for shape in answer["shapes"]]
    assert values == [SHOWN_FROM, 0.2]
    assert SHOWN_FROM > 0.5


def test_a_box_alone_is_offered_and_the_four_points_stay_as_they_are(functions):
    box, points = functions["box-to-mask"], functions["extreme-points"]

    for entry in (box, points):
        assert faults_in(entry.id, describe(entry, (), port=1)) == []
    assert box.annotations["startswith_box_optional"] == "true"
    assert box.annotations["min_pos_points"] == "0"
    assert "box" in box.annotations["help_message"]
    # CVAT calls from so many positive clicks on, with a box or without.
    assert points.annotations["min_pos_points"] == "4"
    assert "startswith_box_optional" not in points.annotations
    assert box.version == points.version


def test_a_box_alone_gives_a_mask_and_clicks_refine_it(functions, model):
    entry, agent = functions["box-to-mask"], "CVAT/2.73.0"
    drawn = {"obj_bbox": [[30, 20], [151, 101]]}

    def ask(**more):
        request = interactor_request(body(**drawn, **more))
        return bitmap(answer_interactor(entry, model, request, user_agent=agent))

    alone, less = ask(), ask(neg_points=[[70.5, 60.5]])
    more = ask(neg_points=[[70.5, 60.5]], pos_points=[[35.5, 25.5]])

    assert overlap(alone, truth()) > 0.8
    assert alone[60, 70]
    assert not less[60, 70]
    assert less.any()
    assert more[25, 35]
    assert not more[60, 70]


def test_a_crop_alone_gives_a_mask(functions, model):
    """The editor sends a region of interest as the image, and the box fills it."""
    request = interactor_request(body(obj_bbox=[[0, 0], [180, 120]]))

    found = bitmap(
        answer_interactor(functions["box-to-mask"], model, request, user_agent="CVAT/2.73.0")
    )

    assert overlap(found, truth()) > 0.7


def rim(mask):
    """Return the corners of the pixels at a mask's border, (N, 2)."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    ys, xs = np.nonzero(mask & (inner == 0))
    return np.stack([xs, ys], axis=1).astype(float)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(160, 220), (700, 900)])
def test_the_outline_stays_within_a_pixel_and_a_half_of_the_mask(seed, size):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal(size).astype(np.float32), (0, 0), size[0] / 14)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((noise > 0).astype(np.uint8))
    mask = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    assert count > 1
    nothing = InteractorRequest(b"", NONE, NONE, np.array([0.0, 0, size[1], size[0]]), None)

    found = redrawn_mask(Candidate(Mask(mask, 0, 0), 0.9), nothing, size)

    drawn = np.zeros(size, bool)
    height, width = found.bitmap.shape
    drawn[found.top : found.top + height, found.left : found.left + width] = found.bitmap
    away = cv2.distanceTransform(1 - _border(drawn), cv2.DIST_L2, 5)
    apart = away[tuple(rim(mask)[:, ::-1].astype(int).T)]
    assert np.percentile(apart, 95) <= 1.5
    assert overlap(drawn, mask) > 0.95


def _border(mask):
    border = np.zeros(mask.shape, np.uint8)
    points = rim(mask).astype(int)
    border[points[:, 1], points[:, 0]] = 1
    return border
