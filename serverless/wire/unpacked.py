"""Base64 that comes again and again, unpacked once: naming it by its hash costs a fifth of that."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict

DEFAULT_BYTES = 64 << 20


class Unpacked:
    """The bytes of the texts last read, within a bound; safe for several threads.

    max_bytes: of the bytes held. What alone is larger is unpacked and not kept.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held

    def read(self, text: str) -> bytes:
        """Return the bytes of a base64 text; ValueError as unpacked."""
        key = hashlib.sha256(text.encode()).digest()
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return found
        data = unpacked(text)
        with self._lock:
            if len(data) <= self.max_bytes and key not in self._kept:
                self._kept[key] = data
                self._held += len(data)
                while self._held > self.max_bytes:
                    _, gone = self._kept.popitem(last=False)
                    self._held -= len(gone)
        return data


def unpacked(text: str) -> bytes:
    """Return the bytes of a base64 text; binascii.Error or ValueError where it is none."""
    return base64.b64decode(text, validate=True)
