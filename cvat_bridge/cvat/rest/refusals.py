"""From what CVAT answered to a named error with advice."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from cvat_bridge.errors import (
    AuthenticationError,
    CertificateError,
    GatewayError,
    NotFoundError,
    UnreachableError,
    UnsupportedError,
)
from trainer.data.files import parse_json

DETAIL_LENGTH = 500
TRANSIENT = frozenset({408, 409, 429, 502, 503, 504})
ADVICE_CREDENTIALS = (
    "The token or password is not good (any more): personal access tokens end at their expiry "
    "date and after six months without use. Make a new one in CVAT under Profile, Security, "
    "Access tokens, with Read only switched off, and give it as CVAT_ACCESS_TOKEN"
)
ADVICE_READ_ONLY = (
    "This token is read-only, which is CVAT's default. Make one with Read only switched off "
    '(Profile, Security, Access tokens; or POST /api/auth/access_tokens with "read_only": false)'
)
ADVICE_RIGHTS = (
    "This account lacks the right. The bridge needs to own the project or be assigned to it, or "
    "to be a maintainer of its organization; set the organization if the project is in one"
)


@dataclass(frozen=True)
class RequestFailure:
    """Why one attempt gave no good answer. status is None where there was no answer."""

    status: int | None
    detail: str
    retry_after: float = 0.0
    never_sent: bool = False
    certificate: str = ""  # what to do about the server's certificate, where that is the fault

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        if self.certificate:
            return False
        return self.status is None or self.status in TRANSIENT

    @property
    def summary(self) -> str:
        """What came, for people: the status and what the server said, or why nothing came."""
        if self.status is None:
            # urllib3 names its objects first; the reason stands last.
            return self.detail.rpartition(": ")[2]
        return f"{self.status}: {self.detail}"

    @property
    def untouched(self) -> bool:
        """Whether the server surely did nothing."""
        return self.never_sent or self.status == 429


def detail_of(body: bytes) -> str:
    """Put an error answer, JSON or HTML, into one line."""
    text = body.decode("utf-8", errors="replace").strip()
    try:
        answer = parse_json(text)
    except ValueError:
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        if title or text.lstrip().startswith("<"):
            answer = f"an HTML page: {title[1].strip() if title else 'without a title'}"
        else:
            answer = text or "(an empty answer)"
    if isinstance(answer, dict) and set(answer) == {"detail"}:
        answer = answer["detail"]
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    line = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    line = line.rstrip(". \n")
    return line if len(line) <= DETAIL_LENGTH else line[:DETAIL_LENGTH] + " …"


def retry_after(value: str | None) -> float:
    """Read a Retry-After header in seconds; its other form, a date, counts as 10 s."""
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        return 10.0


def refusal(
    doing: str, subject: str, failure: RequestFailure, *, writes: bool, read_only: bool | None
) -> GatewayError:
    """Name the error of a failure. read_only: what is known about our token."""
    status, detail = failure.status, failure.detail
    if failure.certificate:
        return CertificateError(doing, subject, None, detail, failure.certificate)
    if status is None:
        advice = "Check the address, and that CVAT is running and can be reached from here"
        return UnreachableError(doing, subject, None, detail, advice)
    if status == 401:
        return AuthenticationError(doing, subject, status, detail, ADVICE_CREDENTIALS)
    if status == 403:
        advice = ADVICE_READ_ONLY if writes and read_only else ADVICE_RIGHTS
        return AuthenticationError(doing, subject, status, detail, advice)
    if status == 404:
        return NotFoundError(doing, subject, status, detail)
    if status in {405, 410, 501}:
        return UnsupportedError(doing, subject, status, detail, "This server cannot do it")
    if status in TRANSIENT - {409} or status >= 500:
        return UnreachableError(doing, subject, status, detail, "CVAT is busy or broken: try later")
    if 300 <= status < 400:
        advice = "Give the address that it leads to as CVAT's url (with its scheme, http or https)"
        return GatewayError(doing, subject, status, detail, advice)
    return GatewayError(doing, subject, status, detail)
