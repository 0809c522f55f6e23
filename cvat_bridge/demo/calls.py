"""Calls over HTTP that outlast a busy machine: long limits, and repetitions that are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

ANSWER_SECONDS = 300.0  # a machine that does ten things at once is slow, not broken
TRIES = 5
PAUSE = 2.0  # seconds before the second try, doubled for each further one
PASSING = frozenset({502, 503, 504})  # statuses of a server that is there but not ready

RetryCallback = Callable[[str], None]  # hears one sentence for each call that is made again


def ignore_retries(_: str) -> None:
    """Tell nobody."""


class Calls:
    """One server, as one user.

    token: a personal access token; or login: name and password. on_retry: called at each
    repetition. seconds: to wait for one answer. tries, pause: how often and after how long a
    question is asked again. Raises httpx.HTTPStatusError when the server refuses, and the last
    httpx.TransportError when it does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        login: tuple[str, str] | None = None,
        on_retry: RetryCallback = ignore_retries,
        seconds: float = ANSWER_SECONDS,
        tries: int = TRIES,
        pause: float = PAUSE,
    ) -> None:
        self._url, self._on_retry = url.rstrip("/"), on_retry
        self._tries, self._pause = tries, pause
        self._client = httpx.Client(
            auth=login,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=seconds,
            follow_redirects=True,
            trust_env=False,  # a server of our own: no proxy, no netrc
        )

    def get(self, path: str, **params: object) -> httpx.Response:
        """Ask; a question may be asked again."""
        values = {key: str(value) for key, value in params.items()}
        return self._asked("GET", path, params=values or None)

    def send(self, path: str, body: Mapping[str, Any], *, method: str = "PATCH") -> httpx.Response:
        """Write; never repeated, since a write whose answer is lost may have been done."""
        return self._once(method, path, json=body)

    def ask(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """POST a question that changes nothing, such as a call of a model; it may be repeated."""
        return self._asked("POST", path, json=body)

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        for number in range(1, self._tries):
            try:
                return self._once(method, path, **more)
            except httpx.TransportError as error:
                why = f"no answer ({type(error).__name__})"
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in PASSING:
                    raise
                why = f"status {error.response.status_code}"
            pause = self._pause * 2 ** (number - 1)
            self._on_retry(
                f"{method} {self._url}{path}: {why}; asked again in {pause:g} s, "
                f"try {number + 1} of {self._tries}"
            )
            time.sleep(pause)
        return self._once(method, path, **more)

    def _once(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._client.request(method, self._url + path, **more)
        answer.raise_for_status()
        return answer
