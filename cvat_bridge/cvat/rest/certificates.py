"""What is wrong with a server's certificate, and what mends it."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from cvat_bridge.errors import ConfigError

_UNKNOWN_AUTHORITY = (
    "self-signed certificate",
    "self signed certificate",
    "unable to get local issuer",
    "unable to get issuer",
    "unable to verify the first certificate",
)
CERTIFICATE_UNKNOWN = (
    "The server's certificate is signed by an authority that this machine does not know, often "
    "the firm's own. Ask for the authority's certificate as a PEM file and name it in the "
    "configuration: cvat.ca_bundle: authority.pem (or set SSL_CERT_FILE to it)"
)
_EXPIRED = (
    "The server's certificate is past its last day: have it renewed where CVAT runs, and check "
    "this machine's clock. cvat.ca_bundle does not help here"
)
_NOT_YET = (
    "The server's certificate is not valid yet: check this machine's clock, and the server's. "
    "cvat.ca_bundle does not help here"
)
_REVOKED = "The server's certificate was withdrawn by its authority: have a new one made"


def certificate_fault(detail: str, url: str, bundle: Path | None = None) -> str | None:
    """Return what to do about a certificate; None where the fault is another one.

    detail: what OpenSSL said. url: the server's address. bundle: the authorities believed.
    """
    text = detail.lower()
    unknown = CERTIFICATE_UNKNOWN
    if bundle is not None:
        unknown = (
            f"The server's certificate is signed by none of the authorities in cvat.ca_bundle "
            f"({bundle}): put the right one's there, with those in between"
        )
    if "hostname mismatch" in text or "ip address mismatch" in text or "doesn't match" in text:
        return (
            f"The server's certificate is made for other names than that in {url}: give CVAT's "
            "address in cvat.url as the certificate has it, or have one made for this name. "
            "cvat.ca_bundle does not help here"
        )
    if "certificate has expired" in text:
        return _EXPIRED
    if "not yet valid" in text:
        return _NOT_YET
    if "certificate revoked" in text:
        return _REVOKED
    if any(known in text for known in _UNKNOWN_AUTHORITY):
        return unknown
    if re.search(r"wrong_version_number|wrong version number|http_request|record layer", text):
        return (
            f"What answers at {url} does not speak https: write http:// in cvat.url, or give the "
            "port that serves https"
        )
    if "certificate required" in text or "bad certificate" in text:
        return (
            "The server asks for a certificate of ours, which cannot be given: let the bridge "
            "reach CVAT without one"
        )
    if "certificate_verify_failed" in text or "certificate verify failed" in text:
        return unknown
    return None


def readable_bundle(path: Path) -> Path:
    """Return the file once it is known to hold certificates; ConfigError otherwise."""
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        reason = "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    else:
        return path
    raise ConfigError([f"cvat.ca_bundle: {path}: {reason}"])
