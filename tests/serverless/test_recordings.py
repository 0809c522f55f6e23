"""Exchanges recorded between a real CVAT 2.73 and a function host, sent again to ours.

Left out of tests/recordings/function_host/nuclio.jsonl: repetitions, and calls whose handler was
made to fail, since how a model fails is the model's own. The recorded images are cut short, so an
image of the recorded size takes their place.
"""

import asyncio
import base64
import io
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from serverless.host.app import HostSettings, create_app
from serverless.store.describe import faults_in
from serverless.store.functions import FunctionLabel, publish
from serverless.wire.answers import Candidate
from serverless.wire.requests import pixels
from tests.serverless.fakes import Scripted, bundle, detections, entry_of, model_of
from trainer.bundles.bundle import read_bundle
from trainer.detections import Detections, Mask

FILE = Path(__file__).parent.parent / "recordings" / "function_host" / "nuclio.jsonl"
EXCHANGES = [json.loads(line) for line in FILE.read_text().splitlines()]

# What the recorded host said of these is not ours to say.
OWN = {"values", "description", "name", "help_message", "animated_gif"}


class Clicks:
    """An interactor that answers two masks around its first click."""

    def segment(self, image, *, positive, negative, box):
        x, y = positive[0].astype(int)
        mask = Mask(np.ones((5, 5), bool), int(x) - 2, int(y) - 2)
        return [Candidate(mask, 0.95), Candidate(mask, 0.4)], pixels(image).shape[:2]


def load(entry):
    made = read_bundle(entry.bundle, version=entry.version)
    if entry.kind == "interactor":
        return model_of(made, Clicks())
    masks = tuple(Mask(np.ones((8, 10), bool), 96, 72) for _ in range(3))
    return model_of(
        made,
        Scripted(
            lambda _: Detections(
                **{
                    **vars(
                        detections(
                            (16, 12, 64, 48, 0.91, 0), *[(96, 72, 106, 80, 0.8, c) for c in (1, 2)]
                        )
                    ),
                    "masks": masks,
                }
            )
        ),
    )


def published(folder: Path) -> Path:
    store = folder / "store"
    names = ("car", "tree", "road")
    labels = tuple(
        FunctionLabel(n, n, kind)
        for n, kind in zip(names, ("rectangle", "mask", "polygon"), strict=True)
    )
    found = bundle(folder / "detector", task="masks", labels=names)
    publish(store, entry_of(found, id="toy-detector", labels=labels))
    clicks = bundle(folder / "clicks", task="interactor")
    for function_id in ("toy-interactor", "toy-shapes-interactor"):
        told = {"min_pos_points": "4", "min_neg_points": "-1", "help_message": "Put 4 points"}
        publish(store, entry_of(clicks, id=function_id, kind="interactor", annotations=told))
    return store


def body_of(recorded: dict | None) -> dict | None:
    if recorded is None:
        return None
    width, height = recorded["_image_size"]
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(buffer, recorded["_image_format"])
    sent = {key: value for key, value in recorded.items() if not key.startswith("_")}
    return sent | {"image": base64.b64encode(buffer.getvalue()).decode()}


@pytest.mark.parametrize(
    "exchange", EXCHANGES, ids=lambda e: f"{e['request']['method']} {e['request']['path']}"
)
def test_cvat_gets_an_answer_of_the_recorded_status_and_structure(tmp_path, exchange):
    asked, recorded = exchange["request"], exchange["response"]
    headers = {k: v for k, v in asked["headers"].items() if k != "Content-Length"}

    async def run():
        app = create_app(published(tmp_path), HostSettings(), load=load)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://host", timeout=60
            ) as client,
        ):
            return await client.request(
                asked["method"], asked["path"], headers=headers, json=body_of(asked["body"])
            )

    reply = asyncio.run(run())

    assert reply.status_code == recorded["status"]
    assert reply.headers["content-type"] == recorded["headers"]["Content-Type"]
    name = asked["headers"].get("x-nuclio-function-name", "")
    if asked["path"] == "/api/functions":
        ours = reply.json()
        assert set(ours) == {"toy-detector", "toy-interactor", "toy-shapes-interactor"}
        for function_id, function in ours.items():
            assert faults_in(function_id, function) == []
            same_form(function, recorded["body"].get(function_id, function))
    elif name == "toy-detector":
        kinds = {item["type"]: item for item in recorded["body"]}
        ours = {item["type"]: item for item in reply.json()}
        assert set(ours) == set(kinds) - {"tag"}
        for kind, item in ours.items():
            assert set(kinds[kind]) <= set(item)
            assert types(item["points"]) <= {int, float}
        left, top, right, bottom = ours["mask"]["mask"][-4:]
        assert len(ours["mask"]["mask"]) == (right - left + 1) * (bottom - top + 1) + 4
    elif name:
        # Both forms work in the editor of 2.73; ours is the one with the confidence.
        bodies = [e["response"]["body"] for e in EXCHANGES]
        form = next(body for body in bodies if "shapes" in body)
        ours = reply.json()
        assert set(ours) == set(form)
        for shape, other in zip(ours["shapes"], form["shapes"], strict=True):
            assert set(shape) == set(other)
            assert [set(a) for a in shape["attributes"]] == [set(a) for a in other["attributes"]]
            assert shape["attributes"][0]["spec_id"] == 0
            assert types([a["value"] for a in shape["attributes"]]) == {str}
    else:
        same_form(reply.json(), recorded["body"])


def types(values: list) -> set[type]:
    return {type(value) for value in values}


def same_form(ours: dict, recorded: dict) -> None:
    """Every key of the recording is there, with a value of the same type."""
    for key, value in recorded.items():
        if key in OWN:
            continue
        assert key in ours, key
        assert type(ours[key]) is type(value), key
        if isinstance(value, dict):
            same_form(ours[key], value)


def test_the_recording_holds_every_kind_of_exchange():
    kinds = {(e["request"]["method"], e["response"]["status"]) for e in EXCHANGES}

    assert kinds == {("GET", 200), ("GET", 404), ("POST", 200)}
    assert len(EXCHANGES) == 7
