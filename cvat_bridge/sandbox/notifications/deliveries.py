"""Delivering webhooks: signed, from a thread of their own, tried again as CVAT does."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from cvat_bridge.sandbox.store.state import Row, State, now
from cvat_bridge.sandbox.web.call import Call

log = logging.getLogger(__name__)
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_LONGEST_ANSWER = 2**20
_DELAYS_S = (5, 300, 1800, 10800, 86400, 86400, 86400, 86400)


@dataclass(order=True)
class _Due:
    at: float
    order: int
    state: State = field(compare=False)
    webhook_id: int = field(compare=False)
    payload: dict[str, Any] = field(compare=False)
    attempt: int = field(default=1, compare=False)
    redelivery: bool = field(default=False, compare=False)


class _Courier:
    """One thread that sends what is due, in order."""

    def __init__(self) -> None:
        self._due: list[_Due] = []
        self._changed = threading.Condition()
        self._orders = itertools.count()
        self._thread: threading.Thread | None = None

    def take(
        self,
        state: State,
        webhook_id: int,
        payload: dict[str, Any],
        *,
        delay_s: float = 0,
        attempt: int = 1,
        redelivery: bool = False,
    ) -> None:
        """Send a body after a delay."""
        due = _Due(
            time.monotonic() + delay_s,
            next(self._orders),
            state,
            webhook_id,
            payload,
            attempt,
            redelivery,
        )
        with self._changed:
            heapq.heappush(self._due, due)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _next(self) -> _Due:
        with self._changed:
            while True:
                wait = self._due[0].at - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)
                self._changed.wait(wait)

    def _run(self) -> None:
        while True:
            due = self._next()
            try:
                self._deliver(due)
            except Exception:  # the edge of a thread: one bad delivery must not end the rest
                log.exception("webhook %s was not delivered", due.webhook_id)

    def _deliver(self, due: _Due) -> None:
        webhook = due.state.db.get("webhook", due.webhook_id)
        if webhook is None or not webhook["is_active"]:
            return
        status = send(
            due.state, webhook, due.payload, attempt=due.attempt, redelivery=due.redelivery
        )["status_code"]
        if (status >= 500 or status in {408, 429}) and due.attempt <= len(_DELAYS_S):
            self.take(
                due.state,
                due.webhook_id,
                due.payload,
                delay_s=_DELAYS_S[due.attempt - 1],
                attempt=due.attempt + 1,
                redelivery=due.redelivery,
            )


_courier = _Courier()


def after_commit(call: Call, webhook: Row, payload: dict[str, Any]) -> None:
    """Send a body once the route has committed."""
    state, webhook_id = call.state, webhook["id"]
    call.after.append(lambda: _courier.take(state, webhook_id, payload))


def again(call: Call, webhook_id: int, payload: dict[str, Any]) -> None:
    """Send an old body again once the route has committed."""
    state = call.state
    call.after.append(lambda: _courier.take(state, webhook_id, payload, redelivery=True))


def _answer(webhook: Row, body: bytes) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    if webhook["secret"]:
        digest = hmac.new(webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers["X-Signature-256"] = f"sha256={digest}"
    try:
        response = httpx.post(
            webhook["target_url"],
            content=body,
            headers=headers,
            timeout=_TIMEOUT,
            follow_redirects=True,
            verify=bool(webhook["enable_ssl"]),
        )
    except httpx.TimeoutException as error:
        return 504, str(error)
    except httpx.HTTPError as error:
        return 502, str(error)
    return response.status_code, response.text[:_LONGEST_ANSWER]


def send(
    state: State,
    webhook: Row,
    payload: dict[str, Any],
    *,
    attempt: int = 1,
    redelivery: bool = False,
) -> Row:
    """Post a body to a webhook's target, keep what came of it, and give that."""
    started, time_sent = time.monotonic(), now()
    status, text = _answer(webhook, json.dumps(payload).encode())
    db = state.db
    with db.transaction():
        new = db.insert(
            "delivery",
            webhook_id=webhook["id"],
            event=payload["event"],
            status_code=status,
            redelivery=redelivery,
            attempt=attempt,
            request_duration=int((time.monotonic() - started) * 1000),
            created_date=time_sent,
            updated_date=now(),
            changed_fields=",".join(payload.get("before_update", ())),
            request=json.dumps(payload),
            response=text,
        )
    return db.get("delivery", new) or {}


def view(row: Row) -> dict[str, Any]:
    """Return a delivery as the API has it."""
    names = ("id", "webhook_id", "event", "status_code")
    more = (
        "attempt",
        "request_duration",
        "created_date",
        "updated_date",
        "changed_fields",
    )
    return {
        **{name: row[name] for name in names},
        "redelivery": bool(row["redelivery"]),
        **{name: row[name] for name in more},
        "request": json.loads(row["request"]),
        "response": row["response"],
    }
