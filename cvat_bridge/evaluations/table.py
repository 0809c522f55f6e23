"""The columns of a record, and the files that hold them: named by content, never changed."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.errors import LedgerError

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class FrameColumns:
    """F frames, each column (F,).

    image: sha256 in hex. subset, cluster: places in the names; cluster -1 where no picture was
    seen. group: number that near-duplicates and parts of one video share. brightness, contrast,
    sharpness: see attributes.FrameLook, NaN where no picture was seen.
    """

    task: Ints
    frame: Ints
    job: Ints
    image: NDArray[np.str_]
    suffix: NDArray[np.str_]
    width: Ints
    height: Ints
    subset: Ints
    group: Ints
    cluster: Ints
    brightness: Floats
    contrast: Floats
    sharpness: Floats

    def __len__(self) -> int:
        return len(self.task)


@dataclass(frozen=True, eq=False)
class BoxColumns:
    """N boxes, each column (N,) but box (N, 4).

    frame: row of the frame. size, aspect, edge, crowding: see attributes.box_attributes.
    """

    frame: Ints
    class_id: Ints
    box: Floats
    size: Floats
    aspect: Floats
    edge: Floats
    crowding: Floats

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, eq=False)
class ObjectColumns(BoxColumns):
    """Objects that people marked. found, other, loose: rows of answers, see matching.Matched."""

    found: Ints
    other: Ints
    loose: Ints


@dataclass(frozen=True, eq=False)
class AnswerColumns(BoxColumns):
    """A model's answers. right, wrong, near: rows of objects, see matching.Matched."""

    score: Floats
    right: Ints
    wrong: Ints
    near: Ints
    iou: Floats


@dataclass(frozen=True, eq=False)
class EvaluationTable:
    """The matches of a model on a source.

    classes, subsets: names. cuts: quarter points of what is measured, by column (see cuts_of).
    centres: (K, D) of the visual clusters, vectors: (F, D) int8 of the frames, both by the embedder
    of that name.
    """

    classes: tuple[str, ...]
    subsets: tuple[str, ...]
    embedder: str
    cuts: Mapping[str, tuple[float, float]]
    centres: Floats
    vectors: NDArray[np.int8]
    frames: FrameColumns
    objects: ObjectColumns
    answers: AnswerColumns


@dataclass(frozen=True, eq=False)
class PoolTable:
    """What a model saw in the pool.

    vectors: (F, D) int8 embeddings of frames by the embedder, a row of zeros where no picture was
    seen. perceptual: (F,) difference hashes in hex. Answers carry right = wrong = near = -1.
    """

    classes: tuple[str, ...]
    subsets: tuple[str, ...]
    embedder: str
    frames: FrameColumns
    perceptual: NDArray[np.str_]
    vectors: NDArray[np.int8]
    answers: AnswerColumns


@dataclass(frozen=True, eq=False)
class CropTable:
    """Embeddings of pictures of boxes, (N, D) int8; rows: (N,) of the table that they belong to.

    Of a judged record first objects, then answers: objects is how many are of objects.
    """

    rows: Ints
    vectors: NDArray[np.int8]
    objects: int


def packed(vectors: NDArray[np.floating]) -> NDArray[np.int8]:
    """Write rows as whole numbers -127..127, each scaled by its greatest: directions are kept."""
    if not len(vectors):
        return np.zeros(vectors.shape, np.int8)
    most = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.round(vectors / most * 127), np.int8)


def unpacked(rows: NDArray[np.int8]) -> Floats:
    """Return rows of length 1 (zeros stay zeros)."""
    found = rows.astype(np.float32)
    return np.asarray(
        found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6), np.float32
    )


def write_table(folder: Path, table: EvaluationTable | PoolTable | CropTable) -> str:
    """Write a table under the hash of its content and return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=folder, prefix=".part-")
    try:
        with os.fdopen(handle, "w+b") as file:
            np.savez(file, **_flat(table))  # type: ignore[arg-type]  # arrays alone
            file.seek(0)
            name = f"{hashlib.file_digest(file, 'sha256').hexdigest()}.npz"
        Path(part).chmod(0o644)
        # Named by content: what may stand there already is the same.
        Path(part).replace(folder / name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return name


def prune(folder: Path, keep: Iterable[str], *, after: float = 86_400.0) -> None:
    """Delete tables that are not to be kept, once they are so many seconds old.

    Who has read of a table a moment ago can still open it.
    """
    kept = set(keep)
    for path in folder.glob("*.npz"):
        if path.name not in kept and time.time() - path.stat().st_mtime > after:
            path.unlink(missing_ok=True)


def read_evaluation(folder: Path, name: str) -> EvaluationTable:
    """Read a table; it is kept in memory for the next question. Raises LedgerError."""
    found = _read(EvaluationTable, folder, name)
    assert isinstance(found, EvaluationTable)  # noqa: S101 asked for
    return found


def read_pool(folder: Path, name: str) -> PoolTable:
    """Read what a model saw in the pool. Raises LedgerError."""
    found = _read(PoolTable, folder, name)
    assert isinstance(found, PoolTable)  # noqa: S101 asked for
    return found


def read_crops(folder: Path, name: str) -> CropTable:
    """Read embeddings of boxes. Raises LedgerError."""
    found = _read(CropTable, folder, name)
    assert isinstance(found, CropTable)  # noqa: S101 asked for
    return found


@functools.lru_cache(maxsize=12)
def _read(kind: type[Any], folder: Path, name: str) -> Any:
    try:
        with np.load(folder / name, allow_pickle=False) as held:
            return _built(kind, {key: held[key] for key in held.files}, "")
    except (OSError, ValueError, KeyError) as error:
        raise LedgerError(
            f"the record {folder / name} cannot be read: {error}. The next round writes a new one"
        ) from error


_TABLES = {
    "frames": FrameColumns,
    "objects": ObjectColumns,
    "answers": AnswerColumns,
}


def _flat(table: Any, prefix: str = "") -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for field in fields(table):
        value, name = getattr(table, field.name), f"{prefix}{field.name}"
        if isinstance(value, (FrameColumns, BoxColumns)):
            found.update(_flat(value, f"{name}."))
        elif isinstance(value, Mapping):
            found[f"{name}.keys"] = np.array(list(value), dtype=np.str_)
            found[f"{name}.values"] = np.array(list(value.values()), np.float64).reshape(-1, 2)
        elif isinstance(value, tuple):
            found[name] = np.array(value, dtype=np.str_)
        else:
            found[name] = np.asarray(value)
    return found


def _built(kind: type[T], held: Mapping[str, NDArray[Any]], prefix: str) -> T:
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # dataclasses
        name = f"{prefix}{field.name}"
        if field.name in _TABLES and kind in (EvaluationTable, PoolTable) and name not in held:
            values[field.name] = _built(_TABLES[field.name], held, f"{name}.")
        elif field.name == "cuts":
            keys, rows = held[f"{name}.keys"].tolist(), held[f"{name}.values"].tolist()
            values[field.name] = {key: tuple(row) for key, row in zip(keys, rows, strict=True)}
        elif field.name in ("classes", "subsets"):
            values[field.name] = tuple(held[name].tolist())
        elif field.name in ("embedder", "objects"):
            values[field.name] = held[name].item()
        else:
            values[field.name] = held[name]
    return kind(**values)
