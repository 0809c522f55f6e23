"""The function host's behaviour, in one process and with scripted models."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest

from serverless.errors import BadRequestError, ModelError
from serverless.host.app import HostSettings, create_app
from serverless.store.functions import FunctionLabel, publish, withdraw
from serverless.wire.answers import Candidate
from serverless.wire.requests import pixels
from tests.serverless.fakes import Scripted, bundle, detections, entry_of, model_of, png, request
from trainer.bundles.bundle import read_bundle
from trainer.detections import Mask

# What CVAT sends with every call, as recorded.
CVAT = {
    "User-Agent": "CVAT/2.73.0 python-requests/2.33.1",
    "x-nuclio-project-name": "cvat",
    "x-nuclio-function-namespace": "nuclio",
    "x-nuclio-invoke-via": "domain-name",
    "X-Nuclio-Invoke-Timeout": "120s",
}


class Engines:
    """Loads a scripted model a bundle; a test says how each answers, by the bundle's name."""

    def __init__(self):
        self.models = {}
        self.loads = []
        self.gates = {}

    def load(self, entry):
        made = read_bundle(entry.bundle, version=entry.version)
        self.loads.append(made.card.name)
        if gate := self.gates.get(made.card.name):
            assert gate.wait(30)
        engine = self.models[made.card.name]
        if isinstance(engine, Exception):
            raise engine
        return model_of(made, engine)


def finds(score: float, class_id: int = 0) -> Scripted:
    return Scripted(lambda _: detections((1, 2, 9, 9, score, class_id)))


@asynccontextmanager
async def host(store, engines, **settings):
    app = create_app(store, HostSettings(**settings), load=engines.load)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://host",
            headers=CVAT,
            timeout=60,
        ) as client,
    ):
        yield client


async def call(client, function_id="cells", body=None, **headers):
    return await client.post(
        "/api/function_invocations",
        json=request() if body is None else body,
        headers={"x-nuclio-function-name": function_id, "x-nuclio-path": "/", **headers},
    )


async def until(happens, seconds=20.0):
    for _ in range(int(seconds / 0.01)):
        if await happens():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


def confidence(reply):
    assert reply.status_code == 200, reply.text
    return reply.json()[0]["confidence"]


@pytest.fixture
def engines():
    return Engines()


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def test_cvat_sees_what_the_store_says_at_once(tmp_path, store, engines):
    made = bundle(tmp_path / "one")

    async def run():
        async with host(store, engines, port=8123) as client:
            assert (await client.get("/api/functions")).json() == {}
            publish(store, entry_of(made, labels=(FunctionLabel("cell", "Cell", "mask"),)))
            listed = (await client.get("/api/functions")).json()
            single = (await client.get("/api/functions/cells")).json()
            publish(store, entry_of(made, name="Cells, round 2"))
            renamed = (await client.get("/api/functions/cells")).json()
            withdraw(store, "cells")
            gone = await client.get("/api/functions/cells")
            return listed, single, renamed, gone

    listed, single, renamed, gone = asyncio.run(run())

    assert listed == {"cells": single}
    assert single["metadata"]["name"] == "cells"
    assert single["metadata"]["annotations"]["type"] == "detector"
    assert json.loads(single["metadata"]["annotations"]["spec"]) == [
        {
            "id": 0,
            "name": "Cell",
            "type": "mask",
            "attributes": [{"name": "confidence", "input_type": "text", "values": []}],
        }
    ]
    assert {type(value) for value in single["metadata"]["annotations"].values()} == {str}
    assert single["spec"]["description"] == "finds cells"
    assert single["status"] == {"state": "ready", "httpPort": 8123}
    assert renamed["metadata"]["annotations"]["name"] == "Cells, round 2"
    names = [label["name"] for label in json.loads(renamed["metadata"]["annotations"]["spec"])]
    assert names == ["cell", "platelet"]
    assert (gone.status_code, gone.json()) == (404, {"error": "Function not found"})


def test_a_call_loads_the_model_once_and_its_threshold_is_the_cards(tmp_path, store, engines):
    made = bundle(tmp_path / "one", min_score=0.5, class_min_score={"platelet": 0.8})
    engines.models["one"] = Scripted(
        lambda _: detections((1, 2, 9, 9, 0.7, 1), (1, 2, 9, 9, 0.6, 0), (1, 2, 9, 9, 0.4, 0))
    )
    publish(store, entry_of(made))

    async def run():
        async with host(store, engines) as client:
            return [
                (await call(client, body=body)).json()
                for body in (request(), request(threshold=0), request(threshold=0.65))
            ]

    plain, everything, some = asyncio.run(run())

    assert engines.loads == ["one"]
    assert [item["confidence"] for item in plain] == ["0.6000"]
    assert [item["confidence"] for item in everything] == ["0.7000", "0.6000", "0.4000"]
    assert [item["confidence"] for item in some] == ["0.7000"]
    assert engines.models["one"].thresholds == [0.5, 0.0, 0.65]


@pytest.mark.parametrize(
    ("function_id", "body", "status", "says"),
    [
        ("cells", {}, 400, "image must be"),
        ("cells", [1], 400, "JSON object"),
        ("cells", request(threshold="x"), 400, "threshold"),
        ("nope", request(), 404, "Function not found"),
        ("", request(), 400, "x-nuclio-function-name"),
    ],
)
def test_a_bad_call_gets_its_reason(tmp_path, store, engines, function_id, body, status, says):
    engines.models["one"] = finds(0.9)
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines) as client:
            return await call(client, function_id, body)

    reply = asyncio.run(run())

    assert reply.status_code == status
    assert says in reply.json()["error"]


def test_a_frame_that_cannot_be_read_costs_that_frame_and_is_named(tmp_path, store, engines):
    engines.models["one"] = finds(0.9)
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines) as client:
            broken = await call(client, "cells", request(b"no image at all"))
            good = await call(client, "cells", request())
            return broken, good, (await client.get("/status")).json(), await client.get("/metrics")

    broken, good, status, metrics = asyncio.run(run())

    assert (broken.status_code, broken.json()) == (200, [])
    assert "no image format" in broken.headers["x-frame-not-read"]
    assert good.json() and "x-frame-not-read" not in good.headers
    (row,) = status["functions"]
    assert row["fault"] == "" and row["frames_not_read"]["count"] == 1
    assert 'function_unreadable_images_total{function="cells"} 1.0' in metrics.text


def test_a_broken_model_is_unhealthy_in_status_and_harms_nobody_else(tmp_path, store, engines):
    def crash(_):
        raise RuntimeError("out of luck")

    engines.models |= {"good": finds(0.9), "bad": ModelError("bad weights"), "odd": Scripted(crash)}
    engines.models["wrong"] = finds(0.9, class_id=9)
    for name in engines.models:
        publish(store, entry_of(bundle(tmp_path / name, weights=name.encode()), id=name))
    publish(store, entry_of(bundle(tmp_path / "gone"), id="gone", bundle=tmp_path / "absent"))
    (store / "scribble.json").write_text("{")

    async def run():
        async with host(store, engines) as client:
            statuses = {
                name: (await call(client, name)).status_code
                for name in ("good", "bad", "odd", "wrong", "gone")
            }
            listed = (await client.get("/api/functions")).json()
            return statuses, listed, (await client.get("/status")).json()

    statuses, listed, status = asyncio.run(run())

    assert statuses == {"good": 200, "bad": 500, "odd": 500, "wrong": 500, "gone": 500}
    assert list(listed) == ["bad", "good", "odd", "wrong"]
    functions = {f["id"]: f for f in status["functions"]}
    assert {name: f["state"] for name, f in functions.items()} == {
        "good": "serving",
        "bad": "unhealthy",
        "odd": "unhealthy",
        "wrong": "unhealthy",
        "gone": "unhealthy",
    }
    assert "bad weights" in functions["bad"]["fault"]
    assert "out of luck" in functions["odd"]["fault"]
    assert "no class id 9" in functions["wrong"]["fault"]
    assert "no such folder" in functions["gone"]["fault"]
    assert list(status["held_back"]) == ["scribble.json"]


def test_calls_go_on_while_a_new_version_loads_and_then_it_answers(tmp_path, store, engines):
    engines.models |= {"old": finds(0.6), "new": finds(0.9)}
    engines.gates["new"] = threading.Event()
    publish(store, entry_of(bundle(tmp_path / "old", weights=b"1")))

    async def run():
        async with host(store, engines) as client:
            answers = [confidence(await call(client))]
            publish(store, entry_of(bundle(tmp_path / "new", weights=b"2")))
            answers += [confidence(await call(client)) for _ in range(5)]
            engines.gates["new"].set()

            async def swapped():
                answers.append(confidence(await call(client)))
                return answers[-1] == "0.9000"

            await until(swapped)
            status = (await client.get("/status")).json()
            return answers, status

    answers, status = asyncio.run(run())

    assert answers[:6] == ["0.6000"] * 6
    assert answers == sorted(answers)
    assert answers[-1] == "0.9000"
    assert engines.loads == ["old", "new"]
    assert status["models"] == 1


def test_labels_of_a_new_version_do_not_fail_calls_that_the_old_one_still_answers(
    tmp_path, store, engines
):
    engines.models |= {"old": finds(0.6), "new": finds(0.9)}
    engines.gates["new"] = threading.Event()
    publish(store, entry_of(bundle(tmp_path / "old", weights=b"1")))
    grown = bundle(tmp_path / "new", weights=b"2", labels=("cell", "platelet", "nucleus"))

    async def run():
        async with host(store, engines) as client:
            await call(client)
            publish(store, entry_of(grown, labels=(FunctionLabel("nucleus", "Nucleus", "any"),)))
            listed = (await client.get("/api/functions")).json()
            during = await call(client)
            engines.gates["new"].set()
            return listed, during

    listed, during = asyncio.run(run())

    assert "Nucleus" in listed["cells"]["metadata"]["annotations"]["spec"]
    assert [item["label"] for item in during.json()] == ["cell"]


def test_one_version_shown_anew_as_masks_is_told_as_serving_once_it_can_make_them(
    tmp_path, store, engines
):
    """The interactor has to be loaded beside it; until then it answers as it was shown before."""
    engines.models["old"] = finds(0.6)
    made = bundle(tmp_path / "old", weights=b"1")

    def shown(kind):
        publish(store, entry_of(made, labels=(FunctionLabel("cell", "Cell", kind),)))

    async def run():
        async with host(store, engines) as client:
            shown("rectangle")
            await call(client)
            engines.gates["old"] = threading.Event()
            shown("mask")

            async def serving():
                return (await client.get("/status")).json()["functions"][0]["serving"]

            during = [item["type"] for item in (await call(client)).json()], await serving()
            engines.gates["old"].set()

            async def swapped():
                return await serving() is not None

            await until(swapped)
            return during, await serving()

    during, after = asyncio.run(run())

    assert during == (["rectangle"], None)
    assert after == made.version
    assert engines.loads == ["old", "old"]


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(tmp_path, store, engines):
    engines.models |= {"old": finds(0.6), "new": ModelError("truncated")}
    publish(store, entry_of(bundle(tmp_path / "old", weights=b"1")))

    async def run():
        async with host(store, engines) as client:
            await call(client)
            newer = entry_of(bundle(tmp_path / "new", weights=b"2"))
            publish(store, newer)
            answers = [confidence(await call(client)) for _ in range(5)]
            status = (await client.get("/status")).json()
            return answers, status["functions"][0], newer.version

    answers, function, version = asyncio.run(run())

    assert answers == ["0.6000"] * 5
    assert function["version"] == version
    assert function["serving"] not in (None, version)
    assert (function["state"], "truncated" in function["fault"]) == ("unhealthy", True)


def test_concurrent_calls_are_answered_together_and_each_gets_its_own(tmp_path, store, engines):
    engine = Scripted(lambda image: detections((0, 0, 9, 9, image[0, 0, 0] / 255, 0)))
    engine.gate = threading.Event()
    engines.models["one"] = engine
    publish(store, entry_of(bundle(tmp_path / "one")))
    values = [100 + 10 * i for i in range(9)]

    async def run():
        async with host(store, engines, max_batch=4) as client:
            first = asyncio.create_task(call(client, body=request(png(value=250))))
            await until(lambda: _true(len(engines.loads) == 1))
            rest = [
                asyncio.create_task(call(client, body=request(png(value=v), threshold=0.1)))
                for v in values
            ]
            await asyncio.sleep(0.3)
            engine.gate.set()
            return await asyncio.gather(first, *rest)

    replies = asyncio.run(run())

    assert [confidence(reply) for reply in replies] == [f"{v / 255:.4f}" for v in [250, *values]]
    assert sum(engine.batches) == 10
    assert max(engine.batches) == 4
    assert len(engine.batches) <= 5


async def _true(value):
    return value


def test_one_bad_image_does_not_fail_those_it_was_batched_with(tmp_path, store, engines):
    def say(image):
        if image[0, 0, 0] == 13:
            raise RuntimeError("thirteen")
        return detections((0, 0, 9, 9, 0.9, 0))

    engine = Scripted(say)
    engine.gate = threading.Event()
    engines.models["one"] = engine
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines) as client:
            calls = [
                asyncio.create_task(call(client, body=request(png(value=v)))) for v in (1, 2, 13, 4)
            ]
            await asyncio.sleep(0.3)
            engine.gate.set()
            return [reply.status_code for reply in await asyncio.gather(*calls)]

    assert asyncio.run(run()) == [200, 200, 500, 200]


def test_a_model_that_hangs_times_out_and_the_others_go_on(tmp_path, store, engines):
    stuck = finds(0.9)
    stuck.gate = threading.Event()
    engines.models |= {"stuck": stuck, "fine": finds(0.8)}
    for name in engines.models:
        publish(store, entry_of(bundle(tmp_path / name, weights=name.encode()), id=name))

    async def run():
        async with host(store, engines, call_seconds=0.5) as client:
            await client.get("/api/functions/fine")
            late = await call(client, "stuck")
            fine = await call(client, "fine")
            status = (await client.get("/status")).json()
            stuck.gate.set()
            return late, fine, {f["id"]: f["state"] for f in status["functions"]}

    late, fine, states = asyncio.run(run())

    assert late.status_code == 504
    assert "within 0.5 s" in late.json()["error"]
    assert confidence(fine) == "0.8000"
    assert states == {"fine": "serving", "stuck": "unhealthy"}


def test_cvats_own_limit_holds_where_it_is_the_shorter_one(tmp_path, store, engines):
    stuck = finds(0.9)
    stuck.gate = threading.Event()
    engines.models["one"] = stuck
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines, call_seconds=60) as client:
            reply = await call(client, **{"X-Nuclio-Invoke-Timeout": "0.3s"})
            stuck.gate.set()
            return reply

    assert asyncio.run(run()).status_code == 504


def test_too_many_waiting_calls_are_told_to_come_again(tmp_path, store, engines):
    engine = finds(0.9)
    engine.gate = threading.Event()
    engines.models["one"] = engine
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines, max_waiting=2, max_batch=1) as client:
            calls = [asyncio.create_task(call(client))]
            assert await asyncio.to_thread(engine.begun.wait, 30)
            calls += [asyncio.create_task(call(client)) for _ in range(5)]
            refused, left = set(), set(calls[1:])
            while len(refused) < 3:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                refused |= done
            engine.gate.set()
            return sorted(reply.status_code for reply in await asyncio.gather(*calls))

    assert asyncio.run(run()) == [200, 200, 200, 503, 503, 503]


def test_the_least_used_model_is_freed_within_the_bound(tmp_path, store, engines):
    for name in ("a", "b", "c"):
        engines.models[name] = finds(0.9)
        publish(store, entry_of(bundle(tmp_path / name, weights=name.encode() * 100), id=name))

    async def run():
        async with host(store, engines, memory_bytes=250) as client:
            for name in ("a", "b", "a", "c", "a", "b"):
                assert (await call(client, name)).status_code == 200
            return (await client.get("/status")).json()

    status = asyncio.run(run())

    assert engines.loads == ["a", "b", "c", "b"]
    assert (status["models"], status["held_bytes"]) == (2, 200)
    serving = {f["id"]: f["serving"] is not None for f in status["functions"]}
    assert serving == {"a": True, "b": True, "c": False}


def test_figures_count_calls_by_function_and_status(tmp_path, store, engines):
    engines.models["one"] = finds(0.9)
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines) as client:
            for body in (request(), request(), {}):
                await call(client, body=body)
            await call(client, "stranger")
            return (await client.get("/metrics")).text, (await client.get("/healthz")).status_code

    text, health = asyncio.run(run())

    assert 'function_calls_total{function="cells",status="200"} 2.0' in text
    assert 'function_calls_total{function="cells",status="400"} 1.0' in text
    assert 'function_calls_total{function="other",status="404"} 1.0' in text
    assert "stranger" not in text
    assert "function_models_held 1.0" in text
    assert health == 200


def test_a_body_beyond_the_limit_is_refused(tmp_path, store, engines):
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(store, engines, max_body_bytes=100) as client:
            return await call(client)

    assert asyncio.run(run()).status_code == 413


class Interactor:
    """Answers with the square around its clicks."""

    labels = None

    def segment(self, image, *, positive, negative, box):
        if not len(positive):
            raise BadRequestError("click at least once")
        left, top = positive.min(axis=0).astype(int)
        right, bottom = positive.max(axis=0).astype(int)
        mask = Mask(np.ones((bottom - top + 1, right - left + 1), bool), int(left), int(top))
        return [Candidate(mask, 0.87)], pixels(image).shape[:2]


def test_an_interactor_is_listed_and_answers_in_the_form_of_the_calling_cvat(
    tmp_path, store, engines
):
    engines.models["clicks"] = Interactor()
    made = bundle(tmp_path / "clicks", task="interactor")
    told = {"min_pos_points": "4", "help_message": "Click the four extreme points"}
    publish(store, entry_of(made, id="clicks", kind="interactor", annotations=told))
    body = request(pos_points=[[3, 4], [5.5, 8]], neg_points=[], obj_bbox=[])

    async def run():
        async with host(store, engines) as client:
            listed = (await client.get("/api/functions/clicks")).json()
            new = await call(client, "clicks", body)
            old = await call(client, "clicks", body, **{"User-Agent": "CVAT/2.59.1"})
            wrong = await call(client, "clicks", request(pos_points=[], neg_points=[]))
            return listed, new, old, wrong

    listed, new, old, wrong = asyncio.run(run())

    annotations = listed["metadata"]["annotations"]
    assert (annotations["type"], annotations["version"], annotations["spec"]) == (
        "interactor",
        "2",
        "",
    )
    assert annotations["min_pos_points"] == "4"
    assert new.json() == {
        "shapes": [
            {
                "type": "mask",
                "points": [0, 15, 3, 4, 5, 8],
                "attributes": [{"spec_id": 0, "value": "0.8700"}],
            }
        ]
    }
    expected = np.zeros((30, 40), int)
    expected[4:9, 3:6] = 1
    assert old.json() == {"mask": expected.tolist()}
    assert (wrong.status_code, wrong.json()) == (400, {"error": "click at least once"})


def test_a_fault_is_forgotten_once_the_model_answers_again(tmp_path, store, engines):
    moods = iter([RuntimeError("once"), None])

    def moody(_):
        if mood := next(moods):
            raise mood
        return detections((1, 2, 9, 9, 0.9, 0))

    engines.models["one"] = Scripted(moody)
    publish(store, entry_of(bundle(tmp_path / "one")))

    async def run():
        states = []
        async with host(store, engines) as client:
            for _ in range(2):
                await call(client)
                states.append((await client.get("/status")).json()["functions"][0]["state"])
        return states

    assert asyncio.run(run()) == ["unhealthy", "serving"]


def test_a_projects_own_interactor_is_preselected_where_there_is_one(tmp_path, store, engines):
    """CVAT's editor takes the first of the list; of several nobody's goes first."""
    made = bundle(tmp_path / "one")

    async def first():
        async with host(store, engines) as client:
            return next(iter((await client.get("/api/functions")).json()))

    publish(store, entry_of(made, id="a-detector"))
    without = asyncio.run(first())
    publish(store, entry_of(made, id="extreme-points-project-12"))
    own = asyncio.run(first())
    publish(store, entry_of(made, id="extreme-points-project-13"))
    several = asyncio.run(first())

    assert (without, several) == ("a-detector", "a-detector")
    assert own == "extreme-points-project-12"


def test_a_password_of_the_nuclio_behind_is_told_to_nobody(tmp_path, capsys):
    """Its address may hold one; it is in no answer and no line of the log."""

    async def run():
        behind = "http://me:s3cret-word@127.0.0.1:9"
        async with host(tmp_path, Engines(), upstream=behind) as client:
            told = [await client.get(path) for path in ("/api/functions", "/status")]
            return [*told, await call(client, "theirs")]

    listed, status, failed = asyncio.run(run())
    texts = [reply.text for reply in (listed, status, failed)]

    assert status.json()["upstream"] == "http://***@127.0.0.1:9"
    assert failed.status_code == 502
    assert "s3cret-word" not in "".join(texts) + "".join(capsys.readouterr())
