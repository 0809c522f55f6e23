"""A model is promoted: how soon every one of several function hosts answers with it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np

from serverless.host.server import running
from serverless.store.following import share
from serverless.store.functions import Entry, publish
from tests.bench.figures import Figure
from tests.fakes.seaweed import s3_server
from tests.serverless.bright_spots import bright_spots

HOSTS, SWAPS = 3, 6


def swap_all_hosts(folder: Path, *, hosts: int = HOSTS, swaps: int = SWAPS) -> Figure:
    """Promote two models in turn over a real S3 server; hosts are processes, nobody calls them."""
    with ExitStack() as stack:
        server = stack.enter_context(s3_server(folder / "s3"))
        os.environ.update(server.environment)
        address = f"{server.bucket('swap')}/models"
        own = folder / "bridge"
        share(own, address)
        models = [bright_spots(folder / f"model-{gain}", gain=gain) for gain in (2.0, 8.0)]
        entries = [
            Entry("champion", "detector", "Champion", "finds spots", made.path, made.version)
            for made in models
        ]
        publish(own, entries[0])
        options = ("--shared", address)
        urls = [
            stack.enter_context(running(folder / f"host-{n}", builtin=False, options=options))
            for n in range(hosts)
        ]
        for url in urls:
            httpx.get(f"{url}/api/functions/champion", timeout=60).raise_for_status()
        _settled(urls, entries[0].version)
        seconds = []
        for swap in range(swaps):
            entry = entries[(swap + 1) % 2]
            began = time.perf_counter()
            publish(own, entry)
            _settled(urls, entry.version)
            seconds.append(time.perf_counter() - began)
    return Figure(
        "swap_seconds_all_hosts",
        max(seconds),
        "s",
        note=f"slowest of {swaps} promotions over S3 until the last of {hosts} hosts, each a "
        f"process that looks every 2 s, serves the new model; median {np.median(seconds):.2f} s",
    )


def _settled(urls: Sequence[str], version: str, seconds: float = 120.0) -> None:
    """Wait until every host's loaded model is this version."""
    until = time.monotonic() + seconds
    waiting = list(urls)
    while waiting:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(waiting)} hosts do not serve {version} after {seconds} s")
        waiting = [url for url in waiting if _serving(url) != version]
        time.sleep(0.02)


def _serving(url: str) -> str | None:
    (row,) = httpx.get(f"{url}/status", timeout=60, trust_env=False).json()["functions"]
    return None if row["serving"] is None else str(row["serving"])
