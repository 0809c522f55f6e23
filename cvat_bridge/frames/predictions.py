"""Predictions remembered by image content and model, in one SQLite file a model."""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from cvat_bridge.database.damage import damage_of, set_aside
from cvat_bridge.errors import LedgerError
from trainer.detections import Detections, Mask

log = logging.getLogger(__name__)
_NUMBER = 4  # bytes of a number of an embedding
_PIECE = 500  # hashes asked for in one query: below SQLite's limit of variables


class PredictionStore:
    """What one model said about images. Writes are whole batches: all of one stays or none.

    labels: names of the classes that class_ids point into. Raises LedgerError when the file
    cannot be used, or holds predictions under other labels.
    """

    def __init__(self, folder: Path, model: str, *, labels: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{_file_name(model)}.db"
        self._lock = threading.RLock()
        if damage := damage_of(self.path, deep=False):
            log.warning("the predictions %s are damaged (%s): made again", self.path, damage)
            set_aside(self.path, "damaged")
        try:
            self._db = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is made again
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS predictions (sha256 TEXT PRIMARY KEY, head TEXT, "
                "boxes BLOB, scores BLOB, class_ids BLOB, probabilities BLOB, embedding BLOB, "
                "places BLOB, bits BLOB)"
            )
            self._db.execute("CREATE TABLE IF NOT EXISTS labels (place INTEGER PRIMARY KEY, name)")
            self.labels = self._set_labels(tuple(labels))
        except sqlite3.Error as error:
            raise LedgerError(
                f"the predictions {self.path} cannot be opened: {error}. "
                "They can be deleted: the model makes them again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def put(self, rows: Mapping[str, Detections]) -> None:
        """Keep what was found in images, by sha256."""
        values = [(sha256, *as_row(found)) for sha256, found in rows.items()]
        with self._told(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT OR REPLACE INTO predictions VALUES (?,?,?,?,?,?,?,?,?)", values
                )
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def known(self) -> frozenset[str]:
        """Return the sha256 of every image that was predicted."""
        with self._told(), self._lock:
            rows = self._db.execute("SELECT sha256 FROM predictions").fetchall()
        return frozenset(sha256 for (sha256,) in rows)

    def embedding_widths(self) -> frozenset[int | None]:
        """Return how many numbers the embeddings have; None for images that have none."""
        with self._told(), self._lock:
            rows = self._db.execute("SELECT DISTINCT length(embedding) FROM predictions").fetchall()
        return frozenset(None if size is None else size // _NUMBER for (size,) in rows)

    def known_among(self, sha256s: Iterable[str]) -> frozenset[str]:
        """Return which of these images were predicted."""
        return frozenset(sha256 for (sha256,) in self._rows("sha256", sha256s))

    def get(self, sha256s: Iterable[str]) -> dict[str, Detections]:
        """Read predictions; images that were never predicted are not among the keys."""
        rows, classes = self._rows("*", sha256s), len(self.labels)
        return {row[0]: from_row(row[1:], classes=classes) for row in rows}

    def without_masks(self, sha256s: Iterable[str]) -> dict[str, tuple[Any, ...]]:
        """Return head, boxes, scores, class_ids, probabilities, embedding as they are written."""
        columns = "sha256, head, boxes, scores, class_ids, probabilities, embedding"
        return {row[0]: row[1:] for row in self._rows(columns, sha256s)}

    def _rows(self, columns: str, sha256s: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        unique = list(dict.fromkeys(sha256s))
        for start in range(0, len(unique), _PIECE):
            piece = unique[start : start + _PIECE]
            marks = ",".join("?" * len(piece))
            with self._told(), self._lock:
                rows = self._db.execute(
                    f"SELECT {columns} FROM predictions WHERE sha256 IN ({marks})",  # noqa: S608 only marks
                    piece,
                ).fetchall()
            yield from rows

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(
                f"the predictions {self.path} cannot be used: {error}. Delete that file: the model "
                "makes them again"
            ) from error

    def _set_labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        rows = self._db.execute("SELECT name FROM labels ORDER BY place").fetchall()
        held = tuple(name for (name,) in rows)
        if held and labels and held != labels:
            raise LedgerError(
                f"the predictions {self.path} have the labels {', '.join(held)}, the model has "
                f"{', '.join(labels)}: two models go by one version. Delete that file"
            )
        if not held and labels:
            self._db.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?)", enumerate(labels))
        return held or labels


def as_row(found: Detections) -> tuple[Any, ...]:
    """Write detections as plain bytes by column; masks as packed bits with their places."""
    places = bits = None
    if found.masks is not None:
        rows = [(*mask.bitmap.shape, mask.left, mask.top) for mask in found.masks]
        flat = [mask.bitmap.ravel() for mask in found.masks]
        places = np.array(rows, np.int64).tobytes()
        bits = np.packbits(np.concatenate([np.zeros(0, np.bool_), *flat])).tobytes()
    return (
        found.head,
        found.boxes.astype(np.float32).tobytes(),
        found.scores.astype(np.float32).tobytes(),
        found.class_ids.astype(np.int64).tobytes(),
        _bytes(found.probabilities),
        _bytes(found.embedding),
        places,
        bits,
    )


def from_row(row: tuple[Any, ...], *, classes: int) -> Detections:
    """Read what `as_row` wrote."""
    head, boxes, scores, class_ids, probabilities, embedding, places, bits = row
    return Detections(
        boxes=np.frombuffer(boxes, np.float32).reshape(-1, 4),
        scores=np.frombuffer(scores, np.float32),
        class_ids=np.frombuffer(class_ids, np.int64),
        probabilities=None
        if probabilities is None
        else np.frombuffer(probabilities, np.float32).reshape(-1, max(classes, 1)),
        masks=None if places is None else _masks(places, bits),
        embedding=None if embedding is None else np.frombuffer(embedding, np.float32),
        head=str(head),
    )


def _masks(places: bytes, bits: bytes) -> tuple[Mask, ...]:
    rows = np.frombuffer(places, np.int64).reshape(-1, 4)
    sizes = rows[:, 0] * rows[:, 1]
    packed = np.frombuffer(bits, np.uint8)
    flat = np.unpackbits(packed, count=int(sizes.sum())).astype(np.bool_)
    parts = np.split(flat, np.cumsum(sizes)[:-1]) if len(sizes) else []
    return tuple(
        Mask(part.reshape(height, width), left, top)
        for part, (height, width, left, top) in zip(parts, rows.tolist(), strict=True)
    )


def _bytes(values: NDArray[np.float32] | None) -> bytes | None:
    return None if values is None else values.astype(np.float32).tobytes()


def _file_name(model: str) -> str:
    """Name a model's file: its version where that is a plain name, else the version's hash."""
    if re.fullmatch(r"[\w.+-]{1,100}", model):
        return model
    return hashlib.sha256(model.encode()).hexdigest()[:32]
