"""One question at a time between the host and a worker's process.

A question is pickled by the host, which the worker trusts. Its images lie in memory that both
have mapped, so that they are copied once. An answer is JSON and bytes: the host unpickles nothing
that a model may have written.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.machine.portable import memory_handle

Bytes = NDArray[np.uint8]

_HEAD_BYTES = 1 << 20
_PART_BYTES = 256 << 20
_MOST_PARTS = 1024
_LEAST_ROOM = 1 << 22
_GROW = "grow"


@dataclass
class Lane:
    """The host's end; for one thread at a time. pid: of the worker's process."""

    connection: Connection
    pid: int
    _room: mmap.mmap | None = None

    def ask(
        self, question: tuple[Any, ...], images: Sequence[Bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Send a question with its images, wait for the answer: its head, and its parts.

        images: flat arrays of bytes. Raises EOFError or OSError when the process ends meanwhile.
        """
        if images:
            self._lay(images)
        self.connection.send((*question, [len(image) for image in images]))
        head = json.loads(self.connection.recv_bytes(_HEAD_BYTES))
        count = int(head["parts"])
        if count > _MOST_PARTS:
            raise ValueError(f"an answer of {count} parts")
        return head, [self.connection.recv_bytes(_PART_BYTES) for _ in range(count)]

    def close(self) -> None:
        """Let go of the pipe and the shared memory."""
        self.connection.close()
        self._room = None

    def _lay(self, images: Sequence[Bytes]) -> None:
        size = sum(len(image) for image in images)
        if self._room is None or len(self._room) < size:
            self._room = self._grown(size)
        room = np.frombuffer(self._room, np.uint8)
        at = 0
        for image in images:
            room[at : at + len(image)] = image
            at += len(image)

    def _grown(self, size: int) -> mmap.mmap:
        room = max(_LEAST_ROOM, 1 << (size - 1).bit_length())
        handle = memory_handle(room)
        try:
            self.connection.send((_GROW, room))
            send_handle(self.connection, handle, self.pid)
            return mmap.mmap(handle, room)
        finally:
            os.close(handle)


@dataclass
class Inner:
    """The worker's end of a lane."""

    connection: Connection
    _room: mmap.mmap | None = None

    def hear(self) -> tuple[tuple[Any, ...], list[Bytes]]:
        """Wait for a question and its images, which are valid until it is answered.

        Raises EOFError when the host has gone.
        """
        while True:
            *question, sizes = self.connection.recv()
            if question[0] != _GROW:
                break
            handle = recv_handle(self.connection)
            self._room = mmap.mmap(handle, sizes)
            os.close(handle)
        images: list[Bytes] = []
        at = 0
        for size in sizes:
            images.append(np.frombuffer(self._room or b"", np.uint8, size, at))
            at += size
        return tuple(question), images

    def answer(self, head: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send the answer to the last question."""
        self.connection.send_bytes(json.dumps({**head, "parts": len(parts)}).encode())
        for part in parts:
            self.connection.send_bytes(part)
