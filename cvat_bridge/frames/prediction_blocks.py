"""Predictions of many images, read block by block as columns: never all of them at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.errors import LedgerError
from cvat_bridge.frames.predictions import PredictionStore

BLOCK = 2000  # images
_IN_MEMORY = 256 << 20  # bytes of a column beyond which it lies in a file

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PredictionBlock:
    """What a model said of some images, without masks.

    counts: (n,) objects of each image, M in all. boxes: (M, 4). scores, class_ids: (M,).
    probabilities: (M, C); of a model that gives only the winner's score, that in the winner's
    column. embeddings: (n, D), None when an image has none. heads: of each image.
    """

    counts: NDArray[np.int64]
    boxes: Floats
    scores: Floats
    class_ids: NDArray[np.int64]
    probabilities: Floats
    embeddings: Floats | None
    heads: tuple[str, ...]

    @property
    def starts(self) -> list[int]:
        """The first object of each image, and their number: n + 1 places."""
        return [0, *np.cumsum(self.counts).tolist()]


def prediction_blocks(
    store: PredictionStore, images: Sequence[str], *, size: int = BLOCK
) -> Iterator[PredictionBlock]:
    """Yield what is kept of these images (sha256), in their order.

    Raises LedgerError when one was never predicted, or is not written as it should be.
    """
    classes = len(store.labels)
    for start in range(0, len(images), size):
        asked = images[start : start + size]
        rows = store.without_masks(asked)
        absent = next((sha256 for sha256 in asked if sha256 not in rows), None)
        if absent is not None:
            raise LedgerError(
                f"the predictions {store.path} hold nothing of the image {absent}; a round reads "
                "the pool again"
            )
        try:
            yield _block([rows[sha256] for sha256 in asked], classes)
        except ValueError as error:
            raise LedgerError(
                f"the predictions {store.path} cannot be read: {error}. Delete that file: the "
                "model makes them again"
            ) from error


def _block(rows: Sequence[tuple[Any, ...]], classes: int) -> PredictionBlock:
    scores = _joined([row[2] for row in rows], np.float32)
    counts = np.array([len(row[2]) // scores.itemsize for row in rows], np.int64)
    class_ids = _joined([row[3] for row in rows], np.int64)
    boxes = _joined([row[1] for row in rows], np.float32).reshape(len(scores), 4)
    given = np.repeat([row[4] is not None for row in rows], counts)
    probabilities = np.zeros((len(scores), classes), np.float32)
    probabilities[given] = _joined([row[4] or b"" for row in rows], np.float32).reshape(
        int(given.sum()), classes
    )
    plain = np.flatnonzero(~given)
    probabilities[plain, class_ids[plain]] = scores[plain]
    widths = {len(row[5]) for row in rows if row[5] is not None}
    if len(widths) > 1:
        raise ValueError(f"embeddings of {sorted(widths)} bytes")
    complete = all(row[5] is not None for row in rows)
    vectors = _joined([row[5] for row in rows], np.float32) if complete else None
    return PredictionBlock(
        counts=counts,
        boxes=boxes,
        scores=scores,
        class_ids=class_ids,
        probabilities=probabilities,
        embeddings=None if vectors is None else vectors.reshape(len(rows), -1),
        heads=tuple(str(row[0]) for row in rows),
    )


def _joined(parts: Sequence[bytes], kind: Any) -> NDArray[Any]:
    return np.frombuffer(b"".join(parts), kind)


class Column:
    """Rows that come block by block; in a file of `folder` when they are many.

    The file has no name and goes with the last array that reads it.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...] = (), *, most: int = _IN_MEMORY
    ) -> None:
        self._folder, self._shape, self._most = folder, shape, most
        self._blocks: list[Floats] = []
        self._held, self._rows = 0, 0
        self._file: Any = None

    def append(self, block: Floats) -> None:
        """Add rows, (n, *shape) float32. Raises ValueError for another shape."""
        if block.shape[1:] != self._shape:
            raise ValueError(f"expected rows of shape {self._shape}, found {block.shape[1:]}")
        self._rows += len(block)
        self._held += block.nbytes
        self._blocks.append(np.ascontiguousarray(block, np.float32))
        if self._held > self._most:
            self._write()

    def array(self) -> Floats:
        """Return all rows; those in a file are read when they are used."""
        if self._file is None:
            return np.concatenate([np.zeros((0, *self._shape), np.float32), *self._blocks])
        self._write()
        self._file.flush()
        shape = (self._rows, *self._shape)
        return np.asarray(np.memmap(self._file, np.float32, mode="r", shape=shape))

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 read until the end
        for block in self._blocks:
            self._file.write(block.data)
        self._blocks, self._held = [], 0
