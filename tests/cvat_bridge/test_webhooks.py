"""A delivery wakes the loop, or it does not, and nothing else happens."""

from __future__ import annotations

import json

import pytest

from cvat_bridge.service.webhooks import classify_delivery, signature

SECRET = "s3cret"


def deliver(payload: object, *, secret: str = SECRET, header: str | None = None) -> str:
    body = json.dumps(payload).encode()
    return classify_delivery(
        body, header or signature(body, secret), secret=SECRET, projects={7}
    ).verdict


def test_the_signature_is_hmac_sha256_of_the_raw_bytes() -> None:
    """RFC 4231, test case 2."""
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert signature(b"what do ya want for nothing?", "Jefe") == expected


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        ({"event": "ping", "webhook": {}}, "ping"),
        (
            {
                "event": "update:job",
                "job": {"id": 1, "project_id": 7, "state": "completed"},
                "changes": {"state": {"from": "new", "to": "completed"}},
            },
            "wake",
        ),
        (
            {
                "event": "update:job",
                "job": {"id": 1, "project_id": 7},
                "changes": {"updated_date": {"from": "a", "to": "b"}},
            },
            "ignored",
        ),
        (
            {
                "event": "update:job",
                "job": {"id": 1, "project_id": 7},
                "before_update": {"assignee": None},
            },
            "wake",
        ),
        ({"event": "update:job", "job": {"id": 1, "project_id": 8}}, "ignored"),
        ({"event": "create:comment", "comment": {}}, "ignored"),
        ({"event": "delete:task", "task": {"id": 4, "project_id": 7}}, "wake"),
        ({"no": "event"}, "malformed"),
        ([1, 2], "malformed"),
    ],
)
def test_what_a_signed_delivery_does(payload: object, verdict: str) -> None:
    assert deliver(payload) == verdict


@pytest.mark.parametrize("header", ["sha256=00", "", "sha1=abc", "sha256=é"])
def test_a_forged_signature_is_refused_before_the_body_is_read(header: str) -> None:
    assert classify_delivery(b"not json", header, secret=SECRET, projects={7}).verdict == "forged"


def test_a_delivery_without_signature_is_forged() -> None:
    body = b'{"event": "ping"}'

    assert classify_delivery(body, None, secret=SECRET, projects={7}).verdict == "forged"


def test_a_signature_of_another_secret_is_forged() -> None:
    assert deliver({"event": "ping"}, secret="other") == "forged"


def test_a_changed_body_is_forged() -> None:
    body = b'{"event": "ping"}'

    assert classify_delivery(
        body + b" ", signature(body, SECRET), secret=SECRET, projects={7}
    ).verdict == ("forged")


def test_signed_bytes_that_are_not_json_are_malformed() -> None:
    body = b"\xff\xfe"

    assert (
        classify_delivery(body, signature(body, SECRET), secret=SECRET, projects={7}).verdict
        == "malformed"
    )
