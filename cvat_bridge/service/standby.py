"""A service that waits while another one leads: healthy, at its address, and doing nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from serverless.host.connections import Bounds, server

# Waits until nobody leads, telling who does; False where the event was set before.
Wait = Callable[[threading.Event, Callable[[str], None]], bool]


def stand_by(wait: Wait, *, host: str, port: int) -> bool:
    """Wait for the lead, answering `/healthz` meanwhile; False where the process is to end.

    What else is asked gets 503, so that whoever divides requests sends them to the leader.
    """
    ended = threading.Event()
    leader: list[str] = ["another service"]
    free: list[bool] = []
    failed: list[BaseException] = []
    web = FastAPI(title="cvat-bridge", docs_url=None, redoc_url=None, openapi_url=None)

    @web.get("/healthz")
    def health() -> Mapping[str, Any]:
        """Say that this service waits, and for whom."""
        return {"ok": True, "leads": False, "leader": leader[0]}

    @web.api_route("/{path:path}", methods=["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH"])
    def away(path: str) -> JSONResponse:  # noqa: ARG001 every one
        """Say that somebody else answers this."""
        told = f"this service waits while another one leads: {leader[0]}"
        return JSONResponse({"error": told}, 503)

    waiting = server(web, Bounds(), host=host, port=port)

    def tell(name: str) -> None:
        leader[0] = name

    def look() -> None:
        try:
            free.append(wait(ended, tell))
        except Exception as error:  # noqa: BLE001 raised again below, in the thread of the service
            failed.append(error)
        waiting.should_exit = True

    thread = threading.Thread(target=look, name="standby", daemon=True)
    thread.start()
    try:
        waiting.run()
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]
    return free == [True]
