"""A CVAT behind a certificate: what is wrong with it is named, with the setting that mends it."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cvat_bridge.assembly import connected
from cvat_bridge.config import load_config, load_secrets
from cvat_bridge.cvat.client import connect
from cvat_bridge.errors import CertificateError, ConfigError

pytest.importorskip("cryptography")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = dt.timedelta(days=1)


class About(http.server.BaseHTTPRequestHandler):
    """Answers every request as CVAT's /api/server/about."""

    def do_GET(self) -> None:
        body = b'{"version": "2.73.0"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Authority:
    """A firm's own authority, which signs certificates for a server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the firm")])
        self.pem = folder / "authority.pem"
        certificate = self._built(self.name, self.key.public_key(), -1, 9, ca=True)
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, names: Sequence[str], *, begins: int = -1, ends: int = 2) -> Path:
        """Return a file with key and certificate. begins, ends: days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cvat")])
        made = self._built(subject, key.public_key(), begins, ends, names=names)
        path = self.folder / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def _built(
        self,
        subject: x509.Name,
        key: Any,
        begins: int,
        ends: int,
        *,
        names: Sequence[str] = (),
        ca: bool = False,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.timezone.utc)
        parts: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
            for one in names
        ]
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY)
            .not_valid_after(now + ends * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if parts:
            made = made.add_extension(x509.SubjectAlternativeName(parts), critical=False)
        return made.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def a_server(certificate: Path | None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), About)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def refused(port: int, folder: Path, bundle: Path | None = None) -> str:
    url = f"https://127.0.0.1:{port}"
    with (
        connect(url, token="t", ca_bundle=bundle, cache_dir=folder / "c", patience=60) as client,
        pytest.raises(CertificateError) as caught,
    ):
        client.capabilities()
    return str(caught.value)


def test_a_private_authority_is_believed_once_the_configuration_names_it(
    authority: Authority, tmp_path: Path
) -> None:
    with a_server(authority.sign(["127.0.0.1"])) as port:
        path = tmp_path / "cvat-bridge.yaml"
        url = f"cvat: {{url: 'https://127.0.0.1:{port}', project: 1, ca_bundle: authority.pem}}"
        path.write_text(url, encoding="utf-8")
        with connected(load_config(path), load_secrets({"CVAT_ACCESS_TOKEN": "t"})) as client:
            assert client.capabilities().version == (2, 73, 0)


def test_an_unknown_authority_is_named_with_the_setting_that_mends_it(
    authority: Authority, tmp_path: Path
) -> None:
    with a_server(authority.sign(["127.0.0.1"])) as port:
        said = refused(port, tmp_path)

    assert "cvat.ca_bundle" in said and "PEM" in said


def test_the_wrong_bundle_is_named(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with a_server(authority.sign(["127.0.0.1"])) as port:
        said = refused(port, tmp_path, other.pem)

    assert "none of the authorities in cvat.ca_bundle" in said and str(other.pem) in said


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"names": ["127.0.0.1"], "begins": -5, "ends": -1}, "past its last day"),
        ({"names": ["127.0.0.1"], "begins": 1, "ends": 5}, "not valid yet"),
        ({"names": ["cvat.example.org"]}, "other names"),
        ({"names": ["10.1.2.3"]}, "other names"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(
    authority: Authority, tmp_path: Path, how: dict[str, Any], words: str
) -> None:
    with a_server(authority.sign(**how)) as port:
        said = refused(port, tmp_path, authority.pem)

    assert words in said and "ca_bundle does not help" in said


def test_a_server_that_speaks_no_https_is_told_from_a_bad_certificate(tmp_path: Path) -> None:
    with a_server(None) as port:
        said = refused(port, tmp_path)

    assert "http://" in said


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_a_bundle_that_is_none_is_refused_before_anything_is_sent(
    tmp_path: Path, content: str | None
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"cvat\.ca_bundle.*bundle\.pem"):
        connect("https://127.0.0.1:1", token="t", ca_bundle=bundle, cache_dir=tmp_path)
