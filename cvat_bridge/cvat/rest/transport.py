"""One request and its answer, or why there is none; cvat-sdk's API client under it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from cvat_sdk import Client, Config
from cvat_sdk.api_client.exceptions import ApiException
from cvat_sdk.api_client.rest import RESTClientObject
from cvat_sdk.core.client import AccessTokenCredentials
from cvat_sdk.core.exceptions import CvatSdkException
from cvat_sdk.core.helpers import make_request_headers

from cvat_bridge.cvat.rest.certificates import (
    CERTIFICATE_UNKNOWN,
    certificate_fault,
    readable_bundle,
)
from cvat_bridge.cvat.rest.refusals import RequestFailure, detail_of, retry_after
from cvat_bridge.errors import ConfigError

CONNECT_SECONDS = 10.0
CONNECTIONS = 8
SLUG = re.compile(r"[A-Za-z0-9_-]+")
JSON_ACCEPT = "application/vnd.cvat+json, application/json"
# Repeating is our work, since urllib3 does not know what may be repeated. Redirects are told and
# not followed: a POST would arrive as a GET.
NO_RETRIES = urllib3.Retry(total=None, connect=0, read=0, redirect=False, status=0, other=0)


class _TimedRest(RESTClientObject):  # type: ignore[misc]  # the SDK is not typed
    """The SDK's HTTP layer, except that no request of the SDK's own waits for ever."""

    def __init__(self, configuration: Any, seconds: float) -> None:
        super().__init__(configuration, maxsize=CONNECTIONS)
        self._seconds = (CONNECT_SECONDS, seconds)

    def request(self, *args: Any, _request_timeout: Any = None, **kwargs: Any) -> Any:
        return super().request(*args, _request_timeout=_request_timeout or self._seconds, **kwargs)


class Transport:
    """Sends requests under our credentials; may be used from several threads."""

    def __init__(
        self,
        url: str,
        *,
        organization: str | None,
        ca_bundle: Path | None,
        timeout: float,
        cache_dir: Path,
    ) -> None:
        if organization and not SLUG.fullmatch(organization):
            raise ConfigError(
                [
                    (
                        f"cvat.organization {organization!r} is no slug of an organization: "
                        "letters, digits, - and _ (CVAT shows it under Organization, Settings)"
                    )
                ]
            )
        try:
            self.sdk = Client(
                url, config=Config(cache_dir=cache_dir / "sdk"), check_server_version=False
            )
        except CvatSdkException as error:
            raise ConfigError([f"cvat url {url!r}: {error}"]) from error
        self.url: str = self.sdk.api_map.host
        self._timeout, self._bundle = timeout, ca_bundle
        self.sdk.api_client.configuration.retries = NO_RETRIES
        if ca_bundle is not None:
            self.sdk.api_client.configuration.ssl_ca_cert = str(readable_bundle(ca_bundle))
        self._rest = _TimedRest(self.sdk.api_client.configuration, timeout)
        self.sdk.api_client.rest_client = self._rest
        self.sdk.organization_slug = organization

    def close(self) -> None:
        """Drop the connections; the session of a password login ends with the process."""
        self._rest.pool_manager.clear()
        self.sdk.api_client.close()

    def use_token(self, token: str) -> None:
        """Send a personal access token from now on."""
        self.sdk.login(AccessTokenCredentials(token))

    def forget_session(self) -> None:
        """Send no session from now on."""
        self.sdk.api_client.cookies.clear()
        self.sdk.api_client.configuration.api_key.pop("csrfHeaderAuth", None)

    def use_session(self, response: Any) -> None:
        """Send the session that this answer to a login gave."""
        client = self.sdk.api_client
        for cookie in response.headers.getlist("Set-Cookie"):
            client.cookies.load(cookie)
        if "csrftoken" in client.cookies:
            client.configuration.api_key["csrfHeaderAuth"] = client.cookies["csrftoken"].value

    def attempt(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        stream: bool = False,
        seconds: float,
    ) -> tuple[Any, RequestFailure | None]:
        """Send once, and wait no longer than these seconds for a sign of life.

        Gives the answer, a urllib3.HTTPResponse of status 2xx whose data is not read yet where
        stream is set, or None and the failure.
        """
        headers = make_request_headers(self.sdk.api_client)
        if not stream:
            headers |= {"Accept": JSON_ACCEPT, "Accept-Encoding": "gzip"}
        left = max(1.0, seconds)
        try:
            response = self._rest.request(
                method,
                self.url + path,
                query_params=list((query or {}).items()),
                headers=headers,
                body=body,
                _parse_response=not stream,
                _request_timeout=(min(CONNECT_SECONDS, left), min(self._timeout, left)),
                _check_status=False,
            )
            if 200 <= response.status < 300:
                return response, None
            content = response.read() if stream else response.data
        except urllib3.exceptions.HTTPError as error:
            cause = getattr(error, "reason", None) or error
            if fault := certificate_fault(str(cause), self.url, self._bundle):
                return None, RequestFailure(None, str(cause), never_sent=True, certificate=fault)
            never = isinstance(
                cause,
                (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError),
            )
            return None, RequestFailure(None, str(cause), never_sent=never)
        except ApiException as error:  # the SDK's way to report a certificate fault
            fault = certificate_fault(str(error.reason), self.url, self._bundle)
            fault = fault or CERTIFICATE_UNKNOWN
            return None, RequestFailure(None, str(error.reason), never_sent=True, certificate=fault)
        detail = detail_of(content)
        if location := response.headers.get("Location"):
            detail = f"redirected to {location}"
        waits = retry_after(response.headers.get("Retry-After"))
        return None, RequestFailure(response.status, detail, waits)
