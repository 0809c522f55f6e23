"""The pool as strategies read it, put together from the predictions block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from active_learning.measures.disagreement import between_passes
from active_learning.pool import FloatArray, Objects, Pool
from cvat_bridge.frames.mirrored import mirrored
from cvat_bridge.frames.prediction_blocks import (
    BLOCK,
    Column,
    PredictionBlock,
    prediction_blocks,
)
from cvat_bridge.frames.predictions import PredictionStore


def read_pool(
    folder: Path,
    keys: Sequence[str],
    images: Sequence[str],
    *,
    groups: Sequence[str],
    model: str | None,
    embeddings: str,
    disagreement: bool = False,
    block: int = BLOCK,
) -> Pool:
    """Put frames and what the model said of them into the form that strategies read.

    keys, images, groups: of each frame its key, sha256 and group. model: whose objects are read,
    None when none looked (embeddings alone). embeddings: under which name they are kept.
    disagreement: also read what the model said of the mirrored frames. block: images in memory at
    a time; the pool is the same for any. Masks are not read, and what is large lies in a file.
    Raises LedgerError.
    """
    objects, vectors = None, None
    if model is not None:
        objects, vectors = _read(folder, model, images, disagreement=disagreement, block=block)
    if model != embeddings:
        with PredictionStore(folder, embeddings) as store:
            vectors = _vectors(folder, prediction_blocks(store, images, size=block))
    numbers = {group: str(n) for n, group in enumerate(dict.fromkeys(groups))}
    return Pool(
        ids=np.array(keys),
        embeddings=vectors,
        groups=np.array([numbers[group] for group in groups]),
        objects=objects,
    )


def _read(
    folder: Path, model: str, images: Sequence[str], *, disagreement: bool, block: int
) -> tuple[Objects, FloatArray | None]:
    """Read objects and embeddings in one pass."""
    with PredictionStore(folder, model) as store:
        classes = len(store.labels)
        objects = _Gathered(folder, classes, disagreement=disagreement)
        found = prediction_blocks(store, images, size=block)
        if not disagreement:
            vectors = _vectors(folder, objects.taking(found))
        else:
            with PredictionStore(folder, mirrored(model)) as mirror:
                second = prediction_blocks(mirror, images, size=block)
                vectors = _vectors(folder, objects.taking(found, second))
    return objects.objects(), vectors


def _vectors(folder: Path, blocks: Iterator[PredictionBlock]) -> FloatArray | None:
    """Gather embeddings; None when a frame has none. Goes through all blocks in any case."""
    column: Column | None = None
    complete = True
    for block in blocks:
        complete = complete and block.embeddings is not None
        if not complete or block.embeddings is None:
            column = None
            continue
        column = column or Column(folder, block.embeddings.shape[1:])
        column.append(block.embeddings)
    return None if column is None else column.array()


class _Gathered:
    """The objects of all frames, as they come."""

    def __init__(self, folder: Path, classes: int, *, disagreement: bool) -> None:
        self._counts: list[np.ndarray] = [np.zeros(1, np.int64)]
        self._probabilities, self._boxes = Column(folder, (classes,)), Column(folder, (4,))
        self._disagreement: list[FloatArray] | None = [np.zeros(0)] if disagreement else None
        self._head = ""

    def taking(
        self, found: Iterator[PredictionBlock], second: Iterator[PredictionBlock] | None = None
    ) -> Iterator[PredictionBlock]:
        """Take what is found, block by block, and pass it on. second: of a second look."""
        for block in found:
            self._head = self._head or block.heads[0]
            self._counts.append(block.counts)
            self._probabilities.append(block.probabilities)
            self._boxes.append(block.boxes)
            if self._disagreement is not None and second is not None:
                self._disagreement += _disagreement(block, next(second))
            yield block

    def objects(self) -> Objects:
        """Return them."""
        return Objects(
            offsets=np.cumsum(np.concatenate(self._counts)),
            probabilities=self._probabilities.array(),
            boxes=self._boxes.array(),
            disagreement=None if self._disagreement is None else np.concatenate(self._disagreement),
            head=self._head or "sigmoid",
        )


def _disagreement(one: PredictionBlock, other: PredictionBlock) -> list[FloatArray]:
    """Compare two looks at the same images."""
    ours, theirs = one.starts, other.starts
    parts = []
    for n, head in enumerate(one.heads):
        a, b = slice(ours[n], ours[n + 1]), slice(theirs[n], theirs[n + 1])
        second = (other.boxes[b], other.probabilities[b])
        parts.append(between_passes(one.boxes[a], one.probabilities[a], [second], head=head))
    return parts
