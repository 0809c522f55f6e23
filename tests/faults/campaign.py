"""What is tried against the function host and the webhook, each line with what held.

A line is `tried` faults and `held`: those that harmed nobody but who caused them.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import requests
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from cvat_bridge.service.service import Loop, TickResult, make_app
from cvat_bridge.service.webhooks import SIGNATURE_HEADER, signature
from serverless.host.server import running
from serverless.store.functions import publish
from tests.patience import patience
from tests.serverless.bad_models import KINDS, bad
from tests.serverless.bright_spots import bright_spots
from tests.serverless.test_host import RECORDED, invoke, spots_entry

CALL_SECONDS = 6.0
_SECRET = "s3cret"


@dataclass
class Line:
    """One kind of fault. failed: what went wrong, the first few."""

    name: str
    tried: int = 0
    held: int = 0
    failed: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def count(self, held: bool, otherwise: str) -> None:
        """Count one fault."""
        self.tried += 1
        self.held += held
        if not held and len(self.failed) < 10:
            self.failed.append(otherwise[:300])


@contextmanager
def hosted(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Give a host that serves a good model and one of each bad kind."""
    store = folder / "store"
    publish(store, spots_entry(bright_spots(folder / "good"), id="good"))
    for kind in KINDS:
        publish(store, spots_entry(bad(folder / kind, kind), id=kind))
    options = ("--model-memory-bytes", str(600 << 20))
    log = folder / "host.log"
    with running(store, call_timeout=CALL_SECONDS, log=log, builtin=False, options=options) as url:
        (host,) = [p for p in psutil.Process().children() if str(store) in p.cmdline()]
        for name in ("good", *KINDS):
            until = time.monotonic() + patience(60)
            while invoke(url, name).status_code != 200 and time.monotonic() < until:
                time.sleep(0.2)
        yield url, host


def bad_models(url: str, seconds: float) -> list[Line]:
    """Call the bad models without pause while a good one is called; two lines."""
    alone = good_times(url, lambda: False, seconds / 3)[0]
    lines, times = provoked(url, seconds)
    before, beside = float(np.percentile(alone, 95)), float(np.percentile(times, 95))
    lines[1].figures = {
        "p95_alone_ms": 1000 * before,
        "p95_with_bad_ms": 1000 * beside,
        "good_p95_with_bad": beside / before,
    }
    return lines


def provoked(url: str, seconds: float) -> tuple[list[Line], list[float]]:
    """Return the lines of the bad and of the good calls, and how long each good one took."""
    lines = [Line("calls that crash, hang or eat memory"), Line("good calls beside them")]
    until = time.monotonic() + patience(seconds)

    def provoke(kind: str) -> None:
        while time.monotonic() < until:
            reply = invoke(url, kind, (1, 1, 0))
            told = reply.status_code in (500, 503, 504) and bool(reply.json().get("error"))
            lines[0].count(told, f"{kind}: {reply.status_code} {reply.text}")
            time.sleep(0.05)

    with ThreadPoolExecutor(len(KINDS)) as callers:
        bad_ones = [callers.submit(provoke, kind) for kind in KINDS]
        times, statuses = good_times(url, lambda: all(b.done() for b in bad_ones), 10 * seconds)
    for status in statuses:
        lines[1].count(status == 200, f"status {status}")
    return lines, times


def good_times(url: str, done: Callable[[], bool], seconds: float) -> tuple[list[float], list[int]]:
    """Call the good model one after the other; returns the seconds and the statuses."""
    times: list[float] = []
    statuses: list[int] = []
    until = time.monotonic() + patience(seconds)
    while (not done() and time.monotonic() < until) or not times:
        began = time.monotonic()
        statuses.append(invoke(url, "good", (2, 2, 1)).status_code)
        times.append(time.monotonic() - began)
    return times, statuses


def kills(url: str, host: psutil.Process, count: int) -> Line:
    """Kill every worker while it waits; the next call of the good model must be answered."""
    line = Line("kills of the models' processes")
    for _ in range(count):
        workers = [p for p in host.children(recursive=True) if p.parent() != host]
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers, timeout=patience(10))
        reply = invoke(url, "good", (1, 1, 0))
        line.count(bool(workers) and reply.status_code == 200, f"{len(workers)}: {reply.text}")
    return line


def bodies(url: str, count: int, seed: int = 0) -> Line:
    """Send what is no request; each must be refused as the caller's fault."""
    line = Line("nonsense bodies")
    dice = random.Random(seed)
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: dice.randbytes(dice.randrange(1, 5000)),
        lambda: b"[" * dice.randrange(1, 100_000),
        lambda: b'{"image": ' + b"9" * dice.randrange(1, 50_000) + b"}",
        lambda: json.dumps({"image": "A" * dice.randrange(1, 9999)}).encode(),
        lambda: json.dumps({"image": [[dice.random()] * 3] * dice.randrange(1, 20_000)}).encode(),
        lambda: b'{"image": "iVBORw0KGgo' + b"A" * dice.randrange(1, 999) + b'"}',
        lambda: b"",
        lambda: b'{"image": NaN, "threshold": 1e999}',
    )
    for n in range(count):
        reply = requests.post(
            f"{url}/api/function_invocations",
            data=kinds[n % len(kinds)](),
            headers=RECORDED | {"x-nuclio-function-name": "good"},
            timeout=60,
        )
        refused = reply.status_code in (400, 413) or "x-frame-not-read" in reply.headers
        line.count(refused, f"kind {n % len(kinds)}: {reply.text}")
    return line


def deliveries(count: int, seed: int = 0) -> Line:
    """Deliver webhooks that must not wake the loop, and true ones that must."""
    line = Line("webhook deliveries")
    dice = random.Random(seed)
    loop = Loop(lambda: TickResult(acted=False, reason=""), 3600)
    web = make_app(
        lambda: {7: loop},
        registry=CollectorRegistry(),
        secret=_SECRET,
        token="t",
    )
    job = {"id": 1, "project_id": 7}
    true = json.dumps({"event": "update:job", "job": job, "changes": {"state": {}}}).encode()
    other = json.dumps({"event": "update:job", "job": {"id": 1, "project_id": 8}}).encode()
    saved = json.dumps({"event": "update:job", "job": job, "changes": {"updated_date": 1}}).encode()
    kinds: tuple[tuple[str, Callable[[], bytes], str], ...] = (
        ("wake", lambda: true, _SECRET),
        ("forged", lambda: true, "no"),
        ("forged", lambda: dice.randbytes(100), ""),
        ("ignored", lambda: other, _SECRET),
        ("ignored", lambda: saved, _SECRET),
        ("ping", lambda: b'{"event": "ping"}', _SECRET),
        ("malformed", lambda: dice.randbytes(200), _SECRET),
        ("malformed", lambda: true[: dice.randrange(len(true))], _SECRET),
        ("malformed", lambda: b"[" * 100_000, _SECRET),
        ("malformed", lambda: b'{"event": 3}', _SECRET),
        ("malformed", lambda: b"", _SECRET),
        ("malformed", lambda: b"\xff\xfe" + true, _SECRET),
        ("malformed", lambda: b"[1, 2]", _SECRET),
        ("ignored", lambda: b'{"event": "create:comment"}', _SECRET),
    )
    with TestClient(web) as client:
        for n in range(count):
            verdict, make, secret = kinds[n % len(kinds)]
            body = make()
            header = {SIGNATURE_HEADER: signature(body, secret)}
            answer = client.post("/webhooks/cvat", content=body, headers=header)
            line.count(answer.json().get("verdict") == verdict, f"{verdict}: {answer.text}")
    return line
