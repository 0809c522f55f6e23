"""One connection to a CVAT server: sign-in, JSON requests with our own retries, lists, downloads.

It speaks raw JSON through cvat-sdk's API client, since the SDK's models belong to one minor
version. Reads, deletes and writes that set a value are repeated freely; a write that makes
something is repeated here only when the server surely did nothing, and otherwise by its caller,
who looks first at what is there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import urllib3
from cvat_sdk.api_client.exceptions import ApiException
from cvat_sdk.core.exceptions import CvatSdkException

from cvat_bridge.cvat.rest.refusals import RequestFailure, detail_of, refusal
from cvat_bridge.cvat.rest.retries import Deadline, Patience, bounded
from cvat_bridge.cvat.rest.transport import Transport
from cvat_bridge.errors import (
    AuthenticationError,
    ConfigError,
    GatewayError,
    NotFoundError,
    UnreachableError,
    UnsupportedError,
)
from trainer.data.files import parse_json

SERVER_FAULT_ATTEMPTS = 3  # a plain 500 mostly stays one, so it is not waited out
SAFE = frozenset({"GET", "HEAD"})
NO_BODY = frozenset({204, 205})
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Password:
    """A user name and password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Password({self.username!r})"


class Connection:
    """A signed-in line to a server; may be used from several threads."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        password: Password | None,
        organization: str | None,
        timeout: float,
        patience: Patience,
        page_size: int,
        cache_dir: Path,
        ca_bundle: Path | None = None,
    ) -> None:
        if (token is None) == (password is None):
            raise ConfigError(["give either a personal access token or a user and password"])
        self.patience, self.page_size, self.organization = patience, page_size, organization
        self.read_only: bool | None = None if token else False
        self._password = password
        self._signing_in = threading.Lock()
        self._transport = Transport(
            url,
            organization=organization,
            ca_bundle=ca_bundle,
            timeout=timeout,
            cache_dir=cache_dir,
        )
        self.sdk, self.url = self._transport.sdk, self._transport.url
        if token is not None:
            self._transport.use_token(token)
        else:
            self._sign_in()

    def close(self) -> None:
        """Drop the connections."""
        self._transport.close()

    def get(self, path: str, subject: str, *, query: Mapping[str, Any] | None = None) -> Any:
        """Read JSON."""
        return self.call("GET", path, "read", subject, query=query)

    def pages(
        self, path: str, subject: str, *, query: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Read a whole list, page by page, by rising id."""
        rows: dict[int, dict[str, Any]] = {}
        page = 1
        while True:
            asked = {**(query or {}), "page": page, "page_size": self.page_size, "sort": "id"}
            answer = self.get(path, subject, query=asked)
            if not isinstance(answer, dict) or "results" not in answer:
                raise GatewayError("read", subject, 200, f"{path} gave no list of pages")
            rows.update((int(row["id"]), row) for row in answer["results"])
            if not answer.get("next"):
                return [row for _, row in sorted(rows.items())]
            page += 1

    def newest(self, path: str, subject: str, query: Mapping[str, Any]) -> tuple[int, str]:
        """Return how many rows a list has, and the `updated_date` of the newest ("" for none)."""
        asked = {**query, "page": 1, "page_size": 1, "sort": "-updated_date"}
        answer = self.get(path, subject, query=asked)
        try:
            dates = [str(row["updated_date"]) for row in answer["results"]]
            return int(answer["count"]), max(dates, default="")
        except (KeyError, TypeError, ValueError) as error:
            raise GatewayError("read", subject, 200, f"{path} gave no list of pages") from error

    def call(
        self,
        method: str,
        path: str,
        doing: str,
        subject: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        repeatable: bool = True,
        wait_out: bool = True,
    ) -> Any:
        """Send JSON and read the JSON answer (None for a deletion and other answers without one).

        repeatable: sending it twice does the same as once. wait_out: try again while it may help.
        An answer that is no whole JSON (cut off, a page of something in between) is a passing
        fault. Raises a GatewayError that names what we were doing and to what.
        """
        with bounded(self.patience) as deadline:
            attempt = 0
            while True:
                response = self._answered(
                    deadline, method, path, doing, subject, query, body, repeatable, wait_out
                )
                if not response.data and (method == "DELETE" or response.status in NO_BODY):
                    return None
                try:
                    return parse_json(response.data)
                except ValueError:
                    fault = _no_json(path, response)
                attempt += 1
                more = repeatable and wait_out and attempt < SERVER_FAULT_ATTEMPTS
                if not (more and deadline.pause(attempt - 1, why=fault)):
                    advice = "Is this the address of a CVAT server?"
                    raise UnreachableError(doing, subject, response.status, fault, advice)
                log.info("%s %s: %s; trying again", doing, subject, fault)

    def download(
        self, path: str, subject: str, target: IO[bytes], *, query: Mapping[str, Any]
    ) -> None:
        """Write the answer's bytes to a file that can be rewound."""
        with bounded(self.patience) as deadline:
            attempt = 0
            while True:
                response = self._answered(
                    deadline, "GET", path, "read", subject, query, None, True, True, stream=True
                )
                try:
                    for block in response.stream(1 << 20):
                        if target.tell() == 0 and block.lstrip()[:1] == b"<":
                            raise urllib3.exceptions.HTTPError("a page came, no file")  # noqa: TRY301
                        target.write(block)
                except urllib3.exceptions.HTTPError as error:
                    failure = RequestFailure(None, f"the answer broke off: {error}")
                else:
                    return
                finally:
                    response.release_conn()
                target.seek(0)
                target.truncate()
                if not deadline.pause(attempt, why=failure.summary):
                    raise refusal("read", subject, failure, writes=False, read_only=self.read_only)
                attempt += 1

    @contextmanager
    def translated(self, doing: str, subject: str) -> Iterator[None]:
        """Turn what cvat-sdk's own helpers raise inside into errors of ours."""
        try:
            yield
        except ApiException as error:
            failure = RequestFailure(error.status or None, detail_of(_bytes(error.body)))
            raise self._refusal(doing, subject, failure, writes=True) from error
        except (urllib3.exceptions.HTTPError, CvatSdkException) as error:
            raise UnreachableError(doing, subject, None, str(error)) from error

    def _answered(
        self,
        deadline: Deadline,
        method: str,
        path: str,
        doing: str,
        subject: str,
        query: Mapping[str, Any] | None,
        body: Any,
        repeatable: bool,
        wait_out: bool,
        *,
        stream: bool = False,
    ) -> Any:
        signed_again = False
        attempt = 0
        while True:
            response, failure = self._transport.attempt(
                method,
                path,
                query=query,
                body=body,
                stream=stream,
                seconds=deadline.remaining(),
            )
            if failure is None:
                return response
            if failure.status == 401 and self._password is not None and not signed_again:
                signed_again = True
                self._sign_in()
                continue
            again = failure.transient or (
                failure.status == 500 and attempt + 1 < SERVER_FAULT_ATTEMPTS
            )
            safe = repeatable or failure.untouched
            if (
                wait_out
                and again
                and safe
                and deadline.pause(attempt, why=failure.summary, at_least=failure.retry_after)
            ):
                attempt += 1
                continue
            raise self._refusal(doing, subject, failure, writes=method not in SAFE)

    def _refusal(
        self, doing: str, subject: str, failure: RequestFailure, *, writes: bool
    ) -> GatewayError:
        if failure.status == 403 and writes and self.read_only is None:
            with suppress(GatewayError):  # what it would add is only advice
                self.probe_token()
        return refusal(doing, subject, failure, writes=writes, read_only=self.read_only)

    def probe_token(self) -> bool | None:
        """Learn whether our token may only read; None where the server does not tell."""
        if self.read_only is None:
            try:
                token = self.get("/api/auth/access_tokens/self", "our access token")
            except (AuthenticationError, NotFoundError, UnsupportedError) as error:
                log.info("the server does not tell what the token may do: %s", error)
                return None
            self.read_only = bool(token["read_only"])
        return self.read_only

    def _sign_in(self) -> None:
        if self._password is None:
            raise ConfigError(["there is no password to sign in with"])
        who = self._password.username
        body = {"username": who, "password": self._password.password}
        with self._signing_in, bounded(self.patience) as deadline:
            self._transport.forget_session()
            attempt = 0
            while True:
                response, failure = self._transport.attempt(
                    "POST", "/api/auth/login", body=body, seconds=deadline.remaining()
                )
                if failure is None:
                    self._transport.use_session(response)
                    return
                if failure.transient and deadline.pause(attempt, why=failure.summary):
                    attempt += 1
                    continue
                if failure.status == 400:
                    advice = "The user name or password is wrong"
                    raise AuthenticationError("sign in as", who, 400, failure.detail, advice)
                raise refusal("sign in as", who, failure, writes=False, read_only=None)


def _no_json(path: str, response: Any) -> str:
    kind = response.headers.get("Content-Type", "nothing it names")
    return f"expected JSON from {path}, found {kind} of {len(response.data)} bytes, cut off or none"


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body or "").encode()
