"""Which requests are believed: the page's own host, its own forms, and no other site's.

A cookie goes along with every request, whoever made the browser send it. So what changes
something is believed only from a form of ours: the browser must say that it came from here
(`Sec-Fetch-Site`, `Origin`, `Referer`), and the form must hold the session's token.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY = 256 << 10  # bytes of a form; ours are far smaller
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "manifest-src 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Refused:
    """A request that is not answered. status: of HTTP. words: for a person."""

    status: int
    words: str


@dataclass(frozen=True)
class Guard:
    """Knows the page's own address. public_url: as browsers have it, None on this machine alone."""

    public_url: str | None
    host: str

    @property
    def https(self) -> bool:
        """Whether browsers reach the page over https, so that its cookie may go no other way."""
        return self.public_url is not None and self.public_url.startswith("https://")

    def examine(self, method: str, headers: Headers, *, largest: int = MAX_BODY) -> Refused | None:
        """Refuse another host's name, another site's request and a body without bounds.

        largest: bytes that a body may have.
        """
        if not self._is_ours(headers.get("host", "")):
            return Refused(
                421,
                "The page is not known under this name. Set page.public_url in cvat-bridge.yaml to "
                "the address that people type.",
            )
        if method in SAFE:
            return None
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > largest:
            return Refused(413, _too_large(length, largest))
        if headers.get("authorization", "").lower().startswith("bearer "):
            return None  # no browser sends this by itself
        if not self._from_here(headers):
            return Refused(
                403,
                "This request did not come from this page, so nothing was done. Open the page "
                "itself and press the button there.",
            )
        return None

    def _from_here(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None and site != "same-origin":
            return False
        origin = headers.get("origin") or headers.get("referer")
        if origin is None:
            return site == "same-origin"
        if origin == "null":
            return False
        parts = urlsplit(origin)
        if self.public_url is not None:
            own = urlsplit(self.public_url)
            if (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
                return True
        return parts.netloc == headers.get("host", "") and self._is_loopback(parts.hostname or "")

    def _is_ours(self, netloc: str) -> bool:
        """Whether a Host header names us; a name that somebody pointed at us does not."""
        name = urlsplit(f"//{netloc}").hostname or ""
        if self.public_url is not None and name == urlsplit(self.public_url).hostname:
            return True
        return self._is_loopback(name)

    def _is_loopback(self, name: str) -> bool:
        """Whether it is this machine's own name, or the very address that we listen on."""
        if name in {"localhost", self.host}:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _too_large(length: str, largest: int) -> str:
    if largest == MAX_BODY or not length.isdigit():
        return f"A form of at most {largest >> 10} kB is taken, of a known length."
    return (
        f"A file of at most {largest / 1e9:g} GB is taken, and this one has {int(length) / 1e9:.1f}"
        " GB, so nothing was read of it. Export the weights alone, without the state of the "
        "optimizer, or let an engineer raise page.upload_gb."
    )


def same(given: str | None, expected: str) -> bool:
    """Compare a form's token with the session's in constant time."""
    return bool(given) and hmac.compare_digest(str(given).encode(), expected.encode())
