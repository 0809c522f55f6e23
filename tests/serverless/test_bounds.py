"""What a caller may ask for at most, and what one is told who asks for more."""

import asyncio
import io
import json
import struct
import time
import zlib

import pytest
from PIL import Image

from serverless.errors import BadRequestError, TooLargeError
from serverless.host.intake import Pixels
from serverless.store.functions import publish
from serverless.wire.bounds import MAX_POINTS, pixels_of
from tests.patience import patience
from tests.serverless.fakes import bundle, entry_of, png, request
from tests.serverless.test_app import Engines, Interactor, call, confidence, finds, host


@pytest.fixture
def engines():
    return Engines()


def claims(width: int, height: int) -> bytes:
    """Return a PNG whose head claims a size, with nothing behind it."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT"


def image_text() -> str:
    return request()["image"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (request(pos_points=[[1, 2]] * 100_000), 400, "10000 values"),
        (request(pos_points=[[1, 2]] * MAX_POINTS, neg_points=[[1, 1]]), 400, "256"),
        (request(pos_points=[[10**400, 1]]), 400, "finite numbers"),
        (request(pos_points=[[1e300, 1]]), 400, "finite numbers"),
        ('{"image": "' + image_text() + '", "pos_points": [[' + "9" * 9999 + ",1]]}", 400, "JSON"),
        ('{"image": ' + "[" * 9000 + "]" * 9000 + "}", 400, "nested"),
        (request(claims(40_000, 40_000)), 413, "megapixels"),
        (request(claims(20_000, 10_000)), 413, "megapixels"),
    ],
)
def test_what_is_too_much_is_refused_at_once_by_name(tmp_path, engines, body, status, says):
    engines.models["clicks"] = Interactor()
    made = bundle(tmp_path / "clicks", task="interactor")
    publish(tmp_path / "store", entry_of(made, id="clicks", kind="interactor"))

    async def run():
        async with host(tmp_path / "store", engines) as client:
            await call(client, "clicks", request(pos_points=[[1, 2], [3, 4]], neg_points=[]))
            began = time.monotonic()
            text = body if isinstance(body, str) else json.dumps(body)
            reply = await client.post(
                "/api/function_invocations",
                content=text.encode(),
                headers={"x-nuclio-function-name": "clicks"},
            )
            return reply, time.monotonic() - began

    reply, seconds = asyncio.run(run())

    assert (reply.status_code, says in reply.json()["error"]) == (status, True), reply.text[:300]
    assert len(reply.text) < 1000
    assert seconds < patience(5)


def test_a_body_of_unannounced_length_is_bounded_too(tmp_path, engines):
    publish(tmp_path / "store", entry_of(bundle(tmp_path / "one")))

    async def chunks():
        for _ in range(64):
            yield b" " * 1024

    async def run():
        async with host(tmp_path / "store", engines, max_body_bytes=10_000) as client:
            return await client.post(
                "/api/function_invocations",
                content=chunks(),
                headers={"x-nuclio-function-name": "cells"},
            )

    assert asyncio.run(run()).status_code == 413


def test_one_image_at_a_time_where_two_would_be_too_many_and_small_ones_get_by():
    async def run():
        room = Pixels(100_000_000)
        order = []

        async def holds(name, pixels, gate):
            async with room.hold(pixels):
                order.append(name)
                await gate.wait()

        first, rest = asyncio.Event(), asyncio.Event()
        rest.set()
        tasks = [asyncio.create_task(holds("large", 45_000_000, first))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(holds("another", 45_000_000, rest)))
        tasks.append(asyncio.create_task(holds("small", 1_000_000, rest)))
        await asyncio.sleep(0.05)
        before = list(order)
        first.set()
        await asyncio.gather(*tasks)
        return before, order

    before, order = asyncio.run(run())

    assert before == ["large", "small"]
    assert order == ["large", "small", "another"]


def test_the_room_for_images_comes_back_with_every_answer(tmp_path, engines):
    engines.models["one"] = finds(0.9)
    publish(tmp_path / "store", entry_of(bundle(tmp_path / "one")))

    async def run():
        async with host(tmp_path / "store", engines, pixels=1300, bodies_bytes=4000) as client:
            return [await call(client, body=request(png())) for _ in range(8)]

    assert [confidence(reply) for reply in asyncio.run(run())] == ["0.9000"] * 8


def test_an_image_is_measured_by_its_head():
    buffer = io.BytesIO()
    Image.new("L", (300, 200)).save(buffer, "JPEG")

    assert pixels_of(buffer.getvalue()) == 60_000
    with pytest.raises(TooLargeError):
        pixels_of(buffer.getvalue(), most=59_999)
    with pytest.raises(BadRequestError):
        pixels_of(b"GIF89a")
