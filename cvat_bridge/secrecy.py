"""Secrets stay out of what people and logs see: cleaned on the way in, hidden on the way out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from rich.text import Text

from cvat_bridge.errors import ConfigError
from trainer.terminal import HIDDEN, PlainConsole, visible, without_credentials

_LEAST = 4  # a shorter text stands in too many innocent places to be hidden everywhere
_AROUND = "\ufeff\u200b\u2060\x00"  # marks that editors put around a text, seen by nobody
_SEEN: set[str] = set()
_NAMES = (
    *("CVAT_ACCESS_TOKEN", "CVAT_PASSWORD", "CVAT_BRIDGE_WEBHOOK_SECRET"),
    *("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"),
)
_ADDRESSES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def clean_token(name: str, value: str | None) -> str | None:
    """Return a token without the white space and byte-order marks around it; None where empty.

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
    """Return a password without the line end and byte-order mark of its file; None where empty.

    Spaces are left, since they may be part of it.
    """
    return (value or "").strip("\ufeff\r\n\x00") or None


def remember(*secrets: str | None) -> None:
    """Hide these from now on in everything that goes through without_secrets."""
    _SEEN.update(one for one in secrets if one and len(one) >= _LEAST)


def remember_address(url: str | None) -> None:
    """Hide the password of an address wherever else it may turn up: decoded, or as a header."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return  # no address; what it should have been is said elsewhere
    if not parts.password:
        return
    user, password = unquote(parts.username or ""), unquote(parts.password)
    remember(base64.b64encode(f"{user}:{password}".encode()).decode())
    # A mere word, "postgres", stands in too many innocent places.
    if not password.isalpha():
        remember(parts.password, password)


def remember_environment(environ: Mapping[str, str]) -> None:
    """Hide every secret that the environment holds, also from commands that do not use it."""
    remember(*(_bare(environ.get(name, "")) for name in _NAMES))
    for name in _ADDRESSES:
        remember_address(environ.get(name))
        remember_address(environ.get(name.lower()))


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with secrets and the users and passwords of addresses hidden."""
    for secret in sorted({*_SEEN, *secrets}, key=len, reverse=True):
        for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")):
            text = text.replace(form, HIDDEN)
    return without_credentials(text)


def hide_in_log(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide secrets and control characters in an event of structlog: a processor."""
    return {
        key: visible(without_secrets(value)) if isinstance(value, str) else value
        for key, value in event.items()
    }


class SecretConsole(PlainConsole):
    """A console that prints no secret, wherever its texts come from: a server's answer, say."""

    def render_str(self, text: str, **settings: Any) -> Text:
        """Render a text; what `print` and the cells of tables go through."""
        return super().render_str(without_secrets(text), **settings)

    def print_json(self, json: str | None = None, **settings: Any) -> None:
        """Print JSON."""
        super().print_json(None if json is None else without_secrets(json), **settings)


# The one pair of consoles of this program's commands.
out = SecretConsole(soft_wrap=True)
err = SecretConsole(stderr=True, soft_wrap=True)


def _bare(text: str) -> str:
    while text != (stripped := text.strip().strip(_AROUND)):
        text = stripped
    return text
