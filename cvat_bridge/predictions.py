"""Predictions remembered by image content and model, in one SQLite file a model."""

from __future__ import annotations

import hashlib
import io
import re
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from cvat_bridge.errors import LedgerError
from trainer.detections import Detections, Mask

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
        try:
            self._db = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS predictions (sha256 TEXT PRIMARY KEY, content BLOB)"
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
        values = [(sha256, pack(found)) for sha256, found in rows.items()]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO predictions VALUES (?, ?)", values)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def known(self) -> frozenset[str]:
        """Give the sha256 of every image that was predicted."""
        with self._lock:
            rows = self._db.execute("SELECT sha256 FROM predictions").fetchall()
        return frozenset(sha256 for (sha256,) in rows)

    def get(self, sha256s: Iterable[str]) -> dict[str, Detections]:
        """Read predictions; images that were never predicted are not among the keys."""
        wanted, found = list(dict.fromkeys(sha256s)), {}
        for start in range(0, len(wanted), _PIECE):
            piece = wanted[start : start + _PIECE]
            marks = ",".join("?" * len(piece))
            with self._lock:
                rows = self._db.execute(
                    f"SELECT sha256, content FROM predictions WHERE sha256 IN ({marks})",  # noqa: S608 only marks
                    piece,
                ).fetchall()
            found.update({sha256: unpack(content) for sha256, content in rows})
        return found

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


def prune(folder: Path, keep: Iterable[str]) -> tuple[Path, ...]:
    """Delete the predictions of every model that is not to be kept; return what was deleted."""
    names = {f"{_file_name(model)}.db" for model in keep}
    gone = tuple(path for path in sorted(folder.glob("*.db")) if path.name not in names)
    for path in gone:
        for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            part.unlink(missing_ok=True)
    return gone


def pack(found: Detections) -> bytes:
    """Write detections as an .npz; masks as packed bits with their places."""
    arrays: dict[str, NDArray[np.generic]] = {
        "boxes": found.boxes,
        "scores": found.scores,
        "class_ids": found.class_ids,
        "head": np.array(found.head),
    }
    if found.probabilities is not None:
        arrays["probabilities"] = found.probabilities
    if found.embedding is not None:
        arrays["embedding"] = found.embedding
    if found.masks is not None:
        places = [(*mask.bitmap.shape, mask.left, mask.top) for mask in found.masks]
        bits = [mask.bitmap.ravel() for mask in found.masks]
        arrays["places"] = np.array(places, np.int64).reshape(len(places), 4)
        arrays["bits"] = np.packbits(np.concatenate([np.zeros(0, np.bool_), *bits]))
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the keywords for its own
    return content.getvalue()


def unpack(content: bytes) -> Detections:
    """Read what `pack` wrote."""
    with np.load(io.BytesIO(content)) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    masks = None
    if "places" in held:
        sizes = held["places"][:, 0] * held["places"][:, 1]
        bits = np.unpackbits(held["bits"], count=int(sizes.sum())).astype(np.bool_)
        parts = np.split(bits, np.cumsum(sizes)[:-1]) if len(sizes) else []
        masks = tuple(
            Mask(part.reshape(h, w), int(left), int(top))
            for part, (h, w, left, top) in zip(parts, held["places"].tolist(), strict=True)
        )
    return Detections(
        boxes=held["boxes"],
        scores=held["scores"],
        class_ids=held["class_ids"],
        probabilities=held.get("probabilities"),
        masks=masks,
        embedding=held.get("embedding"),
        head=str(held["head"]),
    )


def _file_name(model: str) -> str:
    """Name a model's file: its version where that is a plain name, else the version's hash."""
    if re.fullmatch(r"[\w.+-]{1,100}", model):
        return model
    return hashlib.sha256(model.encode()).hexdigest()[:32]
