"""How frames and the boxes in them look, kept by image content so that no frame is read twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from cvat_bridge.errors import LedgerError
from cvat_bridge.evaluations.attributes import FrameAppearance, measure_appearance
from cvat_bridge.evaluations.table import packed
from trainer.data.images import RGBImage
from trainer.detections import Detections
from trainer.embedding import Embedder

CANDIDATES, OBJECTS = 8, 60  # boxes of a frame whose pictures are kept: answers, marked objects
TRUTH = "truth"  # in the place of a model: the boxes that people drew
_PIECE = 500
_ROOM = 0.15  # of its size, around a box: what is beside it tells what it is
_SMALLEST = 4  # pixels of a crop's side


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """A frame. look: its measures; vector: (D,) int8 embedding."""

    look: FrameAppearance
    vector: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class BoxFeatures:
    """boxes: (N, 4) float32; vectors: (N, D) int8 embeddings of what is in them."""

    boxes: NDArray[np.float32]
    vectors: NDArray[np.int8]


class AppearanceStore:
    """One SQLite file. Embeddings are of one embedder; those of another are not seen.

    Raises LedgerError when the file cannot be used.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.embedder, self.path = embedder, folder / "looks.db"
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is made again
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS looks (image TEXT, embedder TEXT, brightness REAL, "
                "contrast REAL, sharpness REAL, vector BLOB, PRIMARY KEY (image, embedder))"
            )
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS boxes (image TEXT, model TEXT, embedder TEXT, "
                "boxes BLOB, vectors BLOB, PRIMARY KEY (image, model, embedder))"
            )
        except sqlite3.Error as error:
            raise LedgerError(
                f"{self.path} cannot be opened: {error}. It can be deleted: it is made again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def looks(self, images: Iterable[str]) -> dict[str, FrameFeatures]:
        """Return what is known of frames; those never seen are not among the keys."""
        rows = self._rows("looks", "brightness, contrast, sharpness, vector", images)
        return {
            image: FrameFeatures(FrameAppearance(*measures), np.frombuffer(vector, np.int8))
            for image, *measures, vector in rows
        }

    def boxes(self, model: str, images: Iterable[str]) -> dict[str, BoxFeatures]:
        """Return the pictures of boxes of a model (or TRUTH); frames without are not among them."""
        rows = self._rows("boxes", "boxes, vectors", images, " AND model = ?", model)
        return {
            image: BoxFeatures(
                np.frombuffer(boxes, np.float32).reshape(-1, 4),
                np.frombuffer(vectors, np.int8).reshape(-1, self.embedder.width),
            )
            for image, boxes, vectors in rows
        }

    def see(
        self, model: str, images: Mapping[str, RGBImage], boxes: Mapping[str, BoxFeatures]
    ) -> None:
        """Keep how frames look and what is in these boxes (see `pictures`), in one transaction."""
        vectors = packed(self.embedder.embed(list(images.values())))
        name = self.embedder.name
        looks = [
            (image, name, *astuple(measure_appearance(pixels)), vector.tobytes())
            for (image, pixels), vector in zip(images.items(), vectors, strict=True)
        ]
        rows = [
            (image, model, name, one.boxes.tobytes(), one.vectors.tobytes())
            for image, one in boxes.items()
        ]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO looks VALUES (?,?,?,?,?,?)", looks)
                self._db.executemany("INSERT OR REPLACE INTO boxes VALUES (?,?,?,?,?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def take(self, path: Path) -> None:
        """Add what another file of looks knows; an embedder of its own stays apart by its name."""
        with self._lock:
            self._db.execute("ATTACH DATABASE ? AS other", (str(path),))
            try:
                for table in ("looks", "boxes"):
                    self._db.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM other.{table}")  # noqa: S608
            finally:
                self._db.execute("DETACH DATABASE other")

    def pictures(self, pixels: RGBImage, boxes: NDArray[np.floating]) -> BoxFeatures:
        """Embed what is in the boxes of a frame, with a little around each."""
        rows = boxes.astype(np.float32).reshape(-1, 4)
        crops = [_crop(pixels, row) for row in rows.tolist()]
        return BoxFeatures(
            rows, packed(self.embedder.embed(crops)).reshape(-1, self.embedder.width)
        )

    def _rows(
        self, table: str, columns: str, images: Iterable[str], more: str = "", *values: str
    ) -> list[tuple[Any, ...]]:
        unique = list(dict.fromkeys(images))
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(unique), _PIECE):
            piece = unique[start : start + _PIECE]
            marks = ",".join("?" * len(piece))
            with self._lock:
                found += self._db.execute(
                    f"SELECT image, {columns} FROM {table} "  # noqa: S608 our own names
                    f"WHERE embedder = ?{more} AND image IN ({marks})",
                    (self.embedder.name, *values, *piece),
                ).fetchall()
        return found


class AppearanceRecorder:
    """Sees what a model answers while the pixels are at hand, and keeps it."""

    def __init__(self, store: AppearanceStore, model: str) -> None:
        self._store, self._model = store, model

    def __call__(self, images: Mapping[str, RGBImage], found: Mapping[str, Detections]) -> None:
        """Keep how frames look and the pictures of the best answers in each."""
        boxes = {
            image: self._store.pictures(images[image], one.boxes[:CANDIDATES])
            for image, one in found.items()
        }
        self._store.see(self._model, images, boxes)


def _crop(pixels: RGBImage, box: list[float]) -> RGBImage:
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box
    wide, high = max(x2 - x1, _SMALLEST), max(y2 - y1, _SMALLEST)
    left, top = max(int(x1 - _ROOM * wide), 0), max(int(y1 - _ROOM * high), 0)
    right = min(max(int(x2 + _ROOM * wide) + 1, left + _SMALLEST), width)
    low = min(max(int(y2 + _ROOM * high) + 1, top + _SMALLEST), height)
    left, top = min(left, max(right - _SMALLEST, 0)), min(top, max(low - _SMALLEST, 0))
    return pixels[top:low, left:right]
