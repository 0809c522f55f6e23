"""Find the external weight files of an ONNX file, without the onnx package.

Parses protobuf's wire format: ModelProto.graph (7) and functions; TensorProto.external_data (13)
holds pairs of key and value, of which `location` is a path (onnx.proto, version 1.16).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

# Field numbers that lead from a message to its tensors.
_MODEL = {7: "graph", 25: "function"}
_WAYS: dict[str, dict[int, str]] = {
    "model": _MODEL,
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


def locations(path: Path) -> set[str]:
    """Return the paths of a file's external weights; empty for a single file.

    For a truncated or invalid file, returns what could be read: the runtime reports the error.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return set(_walk(content, 0, len(content), "model"))
        except (IndexError, ValueError):
            return set()


def _walk(data: mmap.mmap, start: int, end: int, kind: str) -> Iterator[str]:
    ways = _WAYS.get(kind, {})
    if kind == "entry":
        pair = {n: data[a:b].decode("utf-8", "replace") for n, a, b in _fields(data, start, end)}
        if pair.get(1) == "location":
            yield pair.get(2, "")
        return
    for number, a, b in _fields(data, start, end):
        if number in ways:
            yield from _walk(data, a, b, ways[number])


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of every length-delimited field; others are skipped."""
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("cut off")
            yield tag >> 3, at, at + size
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("no protobuf")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no number")
