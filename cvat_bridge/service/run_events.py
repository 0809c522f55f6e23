"""The event stream of a run as server-sent events, for the web page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from weakref import WeakSet

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from cvat_bridge.service.guard import token_needed
from trainer.events import follow
from trainer.runs.small_files import is_running

_NAME = re.compile(r"\w[\w.-]{0,99}")  # one folder's name, so that no path leads elsewhere
MOST_STREAMS = 12
_BEAT = 50  # idle looks between two comments that keep the connection open


def add_run_routes(app: FastAPI, runs: Callable[[], Iterable[Path]], *, token: str) -> None:
    """Offer GET /api/runs/<run>/events. runs: the folders of runs. token: what a reader sends."""
    streams: WeakSet[Iterator[str]] = WeakSet()  # those that somebody reads

    @app.get("/api/runs/{run}/events", dependencies=[token_needed(token)])
    def events(run: str) -> StreamingResponse:
        """Follow a fit as server-sent events: past ones first, then what comes, to its end."""
        folders = (folder / run for folder in runs()) if _NAME.fullmatch(run) else ()
        folder = next((one for one in folders if one.is_dir()), None)
        if folder is None:
            raise HTTPException(404, f"there is no run {run!r}")
        # Each takes a thread of those that answer everything else.
        if len(streams) >= MOST_STREAMS:
            raise HTTPException(503, f"{MOST_STREAMS} readers follow runs already; try later")
        stream = server_sent(folder)
        streams.add(stream)
        return StreamingResponse(
            stream,
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def server_sent(run: Path) -> Iterator[str]:
    """Yield a run's events in the form of EventSource, past ones first, until the run ends."""
    idle = 0
    for event in follow(run, alive=lambda: is_running(run)):
        if event is None:
            idle += 1
            if idle % _BEAT == 0:
                yield ": still here\n\n"
            continue
        yield f"event: {event['event']}\ndata: {json.dumps(event)}\n\n"
    yield "event: end\ndata: {}\n\n"
