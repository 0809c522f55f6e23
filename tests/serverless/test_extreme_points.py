"""The shipped function: listed without being published, answered in both forms of CVAT."""

import asyncio
import base64

import cv2
import httpx
import numpy as np
import yaml

from serverless.extreme_points import picture
from serverless.host.app import HostSettings, create_app
from serverless.store.describe import faults_in
from serverless.store.folders import shipped
from serverless.store.functions import publish
from tests.serverless.test_function_folders import ROOT

CLICKS = [[30.5, 60.5], [90.5, 20.5], [150.5, 60.5], [90.5, 100.5]]
SIZE = (120, 180)


def image():
    rng = np.random.default_rng(1)
    pixels = rng.integers(100, 140, (*SIZE, 3), dtype=np.uint8)
    cv2.ellipse(pixels, (90, 60), (60, 40), 0, 0, 360, (30, 60, 220), -1)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def ask(store, *bodies, agent="CVAT/2.73.0 python-requests/2.33.1", builtin=None):
    """Send bodies one after the other; the list of functions comes first."""
    settings = HostSettings(builtin=shipped() if builtin is None else builtin)

    async def run():
        app = create_app(store, settings)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
            answers = [(await client.get("/api/functions")).json()]
            for body in bodies:
                headers = {"x-nuclio-function-name": "extreme-points", "User-Agent": agent}
                answers.append(
                    await client.post("/api/function_invocations", json=body, headers=headers)
                )
            return answers

    return asyncio.run(run())


def body(**more):
    encoded = base64.b64encode(image()).decode()
    return {"image": encoded, "pos_points": CLICKS, "neg_points": [], "obj_bbox": []} | more


def bitmap(shape):
    """Read CVAT's run lengths: zeros first, then the inclusive box."""
    *runs, left, top, right, bottom = shape["points"]
    flat = np.concatenate([np.full(n, i % 2, bool) for i, n in enumerate(runs)])
    frame = np.zeros(SIZE, bool)
    frame[top : bottom + 1, left : right + 1] = flat.reshape(bottom - top + 1, right - left + 1)
    return frame


def truth():
    found = np.zeros(SIZE, np.uint8)
    cv2.ellipse(found, (90, 60), (60, 40), 0, 0, 360, 1, -1)
    return found > 0


def test_it_is_listed_out_of_the_box_as_cvat_reads_interactors(tmp_path):
    (listed,) = ask(tmp_path)
    function = listed["extreme-points"]
    annotations = function["metadata"]["annotations"]

    assert faults_in("extreme-points", function) == []
    assert (annotations["type"], annotations["version"]) == ("interactor", "2")
    assert annotations["min_pos_points"] == "4"
    assert "leftmost" in annotations["help_message"]
    assert annotations["animated_gif"].startswith("data:image/svg+xml;base64,")


def test_the_picture_in_the_yaml_is_the_one_the_script_draws():
    content = yaml.safe_load((ROOT / "extreme_points" / "function.yaml").read_text())

    assert content["metadata"]["annotations"]["animated_gif"] == picture.data_uri()
    assert picture.svg().count("<circle") == 4


def test_a_published_entry_of_that_id_takes_its_place(tmp_path):
    (own,) = [found for found in shipped() if found.id == "extreme-points"]
    publish(tmp_path, type(own)(**{**vars(own), "name": "Ours", "bundle": own.bundle.resolve()}))

    (listed,) = ask(tmp_path)

    assert listed["extreme-points"]["metadata"]["annotations"]["name"] == "Ours"


def test_nothing_is_listed_where_nothing_is_built_in(tmp_path):
    assert ask(tmp_path, builtin=()) == [{}]


def test_both_forms_tell_the_same_mask_of_the_object(tmp_path):
    _, new = ask(tmp_path, body())
    _, old = ask(tmp_path, body(), agent="CVAT/2.59.1 python-requests/2.33.1")

    (shape,) = new.json()["shapes"]
    (confidence,) = shape["attributes"]
    assert shape["type"] == "mask"
    assert confidence["spec_id"] == 0
    assert 0 <= float(confidence["value"]) <= 1
    full = np.array(old.json()["mask"])
    assert full.shape == SIZE
    assert set(np.unique(full)) == {0, 1}
    assert np.array_equal(bitmap(shape), full > 0)
    assert (bitmap(shape) & truth()).sum() / (bitmap(shape) | truth()).sum() > 0.9


def test_further_clicks_change_the_mask_as_they_say(tmp_path):
    _, before, after = ask(tmp_path, body(), body(neg_points=[[100.5, 60.5]]))

    (first,), (second,) = before.json()["shapes"], after.json()["shapes"]
    assert bitmap(first)[60, 100]
    assert not bitmap(second)[60, 100]


def test_the_mask_that_leaves_is_drawn_by_few_vertices_unless_raw_is_set(tmp_path):
    (own,) = [found for found in shipped() if found.id == "extreme-points"]
    raw = type(own)(**{**vars(own), "annotations": {**own.annotations, "mask": "raw"}})

    _, drawn = ask(tmp_path, body())
    _, plain = ask(tmp_path, body(), builtin=(raw,))
    vertices = [
        len(
            cv2.approxPolyDP(
                max(
                    cv2.findContours(
                        bitmap(answer.json()["shapes"][0]).astype(np.uint8),
                        cv2.RETR_EXTERNAL,
                        cv2.CHAIN_APPROX_NONE,
                    )[0],
                    key=len,
                ),
                0.8,
                closed=True,
            )
        )
        for answer in (drawn, plain)
    ]

    assert vertices[0] < vertices[1]


def test_clicks_that_mean_nothing_are_a_bad_request_that_says_so(tmp_path):
    _, none, outside, broken = ask(
        tmp_path,
        body(pos_points=[]),
        body(pos_points=[[-5, -5], [-9, 8], [-1, 3], [-2, 2]]),
        body(image=base64.b64encode(b"no image").decode()),
    )

    assert [a.status_code for a in (none, outside, broken)] == [400, 400, 400]
    assert "at least once" in none.json()["error"]
    assert "outside the image of 180 x 120" in outside.json()["error"]
