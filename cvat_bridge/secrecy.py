"""Secrets stay out of what people and logs see: cleaned on the way in, hidden on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from cvat_bridge.errors import ConfigError
from trainer.terminal import HIDDEN, visible, without_credentials

_LEAST = 4  # a shorter text stands in too many innocent places to be hidden everywhere
_AROUND = "\ufeff\u200b\u2060\x00"  # marks that editors put around a text, seen by nobody
_SEEN: set[str] = set()


def clean_token(name: str, value: str | None) -> str | None:
    """Give a token without the white space and byte-order marks around it; None where empty.

    name: of the variable or setting, for the message. Raises ConfigError, which does not hold the
    value, where something inside cannot be sent in a header.
    """
    text = _bare(value or "")
    if not text:
        return None
    if not text.isascii() or not text.isprintable() or any(one.isspace() for one in text):
        raise ConfigError(
            [
                (
                    f"{name}: {len(text)} characters, of which some cannot be part of a token "
                    "(spaces, line ends, or letters outside of ASCII); copy it again, without "
                    "what stands around it"
                )
            ]
        )
    return text


def clean_password(value: str | None) -> str | None:
    """Give a password without the line end and byte-order mark of its file; None where empty.

    Spaces are left, since they may be part of it.
    """
    return (value or "").strip("\ufeff\r\n\x00") or None


def remember(*secrets: str | None) -> None:
    """Hide these from now on in everything that goes through without_secrets."""
    _SEEN.update(one for one in secrets if one and len(one) >= _LEAST)


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Give a text with secrets and the users and passwords of addresses hidden."""
    for secret in sorted({*_SEEN, *secrets}, key=len, reverse=True):
        for form in (secret, repr(secret)[1:-1]):
            text = text.replace(form, HIDDEN)
    return without_credentials(text)


def hide_in_log(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide secrets and control characters in an event of structlog: a processor."""
    return {
        key: visible(without_secrets(value)) if isinstance(value, str) else value
        for key, value in event.items()
    }


def _bare(text: str) -> str:
    while text != (stripped := text.strip().strip(_AROUND)):
        text = stripped
    return text
