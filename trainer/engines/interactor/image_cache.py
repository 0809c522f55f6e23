"""Decoded images by content, so that every click after the first on an image finds it decoded."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from trainer.data.images import RGBImage, decode

DEFAULT_BYTES = 512 << 20


class ImageCache:
    """The images last asked for, within a bound of bytes; safe for several threads.

    max_bytes: of the pixels held. An image that alone is larger is decoded and not kept.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._images: OrderedDict[bytes, RGBImage] = OrderedDict()
        self._decoding: dict[bytes, threading.Lock] = {}
        self._lock = threading.Lock()
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of the pixels held now."""
        return self._held

    def decode(self, data: bytes) -> RGBImage:
        """Return the pixels (H, W, 3) of an encoded image, read-only; ImageError as images.decode.

        Threads that ask for one image at once wait for a single decoding of it.
        """
        key = hashlib.sha256(data).digest()  # processors have instructions for it
        with self._lock:
            if (found := self._found(key)) is not None:
                return found
            turn = self._decoding.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if (found := self._found(key)) is not None:
                    return found
            try:
                image = decode(data)
                image.setflags(write=False)
            finally:
                with self._lock:
                    self._decoding.pop(key, None)
            with self._lock:
                self._keep(key, image)
        return image

    def _found(self, key: bytes) -> RGBImage | None:
        found = self._images.get(key)
        if found is not None:
            self._images.move_to_end(key)
        return found

    def _keep(self, key: bytes, image: RGBImage) -> None:
        if image.nbytes > self.max_bytes or key in self._images:
            return
        self._images[key] = image
        self._held += image.nbytes
        while self._held > self.max_bytes:
            _, gone = self._images.popitem(last=False)
            self._held -= gone.nbytes
