"""A cache of decoded images by content: later clicks on an image need no decoding."""

from __future__ import annotations

import hashlib
import threading

from cachetools import LRUCache

from trainer.data.images import RGBImage, decode

DEFAULT_BYTES = 512 << 20


class ImageCache:
    """The most recently used images, within a bound of bytes; thread-safe.

    max_bytes: of the cached pixels. A larger image is decoded but not cached.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._images: LRUCache[bytes, RGBImage] = LRUCache(max_bytes, getsizeof=_bytes)
        self._decoding: dict[bytes, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Return the bytes of the cached pixels."""
        return int(self._images.currsize)

    def decode(self, data: bytes) -> RGBImage:
        """Return the pixels (H, W, 3) of an encoded image, read-only; ImageError as images.decode.

        Concurrent calls for the same image wait for a single decoding.
        """
        key = hashlib.sha256(data).digest()  # processors have instructions for it
        with self._lock:
            if (found := self._images.get(key)) is not None:
                return found
            turn = self._decoding.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if (found := self._images.get(key)) is not None:
                    return found
            try:
                image = decode(data)
                image.setflags(write=False)
            finally:
                with self._lock:
                    self._decoding.pop(key, None)
            if image.nbytes <= self.max_bytes:
                with self._lock:
                    self._images[key] = image
        return image


def _bytes(image: RGBImage) -> int:
    return image.nbytes
