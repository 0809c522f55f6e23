"""What callers may send at once: bytes of bodies, pixels of images, and how slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from serverless.errors import BusyError, SlowSenderError, TooLargeError

_GRACE_SECONDS = 10.0
_LEAST_RATE = 64 << 10  # bytes a second, after the grace
_LARGE = 25_000_000  # pixels; larger images share a part of the room, so that others get by
_LARGE_SHARE = 0.5


@dataclass
class Bodies:
    """Bodies being read or answered. max_bytes: of one. room_bytes: of all together."""

    max_bytes: int
    room_bytes: int
    grace_seconds: float = _GRACE_SECONDS
    _held: int = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request, which takes room until it is answered.

        Raises TooLargeError, BusyError while others take the room, and SlowSenderError for less
        than 64 KiB a second after ten seconds.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > self.max_bytes):
            raise self._too_large()
        taken = 0
        parts: list[bytes] = []
        began = time.monotonic()
        stream = request.stream()
        try:
            while True:
                left = began + self.grace_seconds + taken / _LEAST_RATE - time.monotonic()
                try:
                    part = await asyncio.wait_for(anext(stream, None), max(left, 0.001))
                except asyncio.TimeoutError:
                    raise SlowSenderError(
                        f"{taken} bytes came in {time.monotonic() - began:.0f} s, less than"
                        f" {_LEAST_RATE} a second; send the body at once"
                    ) from None
                except ClientDisconnect:
                    raise SlowSenderError("the caller went away before its body came") from None
                if part is None:
                    break
                taken += len(part)
                self._held += len(part)
                if taken > self.max_bytes:
                    raise self._too_large()
                if self._held > self.room_bytes:
                    raise BusyError(
                        f"the bodies of all calls take more than {self.room_bytes} bytes; try again"
                    )
                parts.append(part)
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            yield body
        finally:
            self._held -= taken

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"the body is larger than {self.max_bytes} bytes")


@dataclass
class Pixels:
    """Images being decoded or answered. room: pixels of all together; others wait their turn."""

    room: int
    _held: int = 0
    _large: int = 0
    _freed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[None]:
        """Wait until there is room for an image, and keep it meanwhile.

        An image larger than the room has it alone. Large ones leave half of it to the others.
        """
        large = pixels if pixels > _LARGE else 0
        async with self._freed:
            await self._freed.wait_for(lambda: self._fits(pixels, large))
            self._held += pixels
            self._large += large
        try:
            yield
        finally:
            self._held -= pixels
            self._large -= large
            async with self._freed:
                self._freed.notify_all()

    def _fits(self, pixels: int, large: int) -> bool:
        share = int(self.room * _LARGE_SHARE)
        if large and self._large and self._large + large > share:
            return False
        return not self._held or self._held + pixels <= self.room or (large > 0 and not self._large)
