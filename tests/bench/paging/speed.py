"""The page with many labelled objects and a large pool: tables of drawn numbers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvat_bridge.blindspots.queries import blind_spots, failures
from cvat_bridge.blindspots.similar import find_similar
from cvat_bridge.evaluations.columns import cuts_of
from cvat_bridge.evaluations.table import (
    AnswerColumns,
    CropTable,
    EvaluationTable,
    FrameColumns,
    ObjectColumns,
    PoolTable,
    write_table,
)
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Judgement, PoolRecord
from cvat_bridge.settings import RoundSettings
from trainer.embedding import Descriptor

EACH, POOL_EACH = 10, 6  # objects a judged frame, answers a pool frame
CLASSES = tuple(f"class {n}" for n in range(12))


def drawn_home(folder: Path, objects: int, pool: int, versions: int) -> tuple[Home, Ledger]:
    """Write records of so many objects, pool frames and model versions."""
    home = Home(folder)
    ledger = Ledger(home.ledger)
    rng = np.random.default_rng(0)
    judged = drawn_judged(rng, objects)
    # All versions share one table: only one of them is read for a page.
    file = write_table(home.judged, judged)
    pictures = write_table(home.judged, _crops(rng, min(objects, 60_000)))
    for version in range(versions):
        ledger.save_judgement(
            Judgement(
                *(f"m{version}", "holdout", version, len(judged.frames), objects),
                *(len(judged.answers), 0.3, file, pictures, f"2026-01-{version + 1:02}"),
            )
        )
    seen, crops = drawn_pool(np.random.default_rng(99), pool)
    ledger.save_pool(
        PoolRecord(
            f"m{versions - 1}",
            versions,
            pool,
            write_table(home.judged, seen),
            write_table(home.judged, crops),
            "2026-02-01",
        )
    )
    return home, ledger


def page_ms(home: Home, ledger: Ledger, model: str, *, repeats: int = 20) -> dict[str, list[float]]:
    """Time the page at changing thresholds, and its failures, in milliseconds of the processor."""
    spent: dict[str, list[float]] = {"blind_spots": [], "failures": []}
    for turn in range(repeats + 1):
        threshold = 0.15 + 0.7 * turn / repeats
        began = time.process_time()
        page = blind_spots(home, ledger, model=model, source="holdout", threshold=threshold)
        middle = time.process_time()
        where = page.slices[0].key if page.slices else ""
        failures(home, ledger, model=model, source="holdout", where=where, threshold=threshold)
        if turn:  # the first one reads the files
            spent["blind_spots"].append(1000 * (middle - began))
            spent["failures"].append(1000 * (time.process_time() - middle))
    return spent


def similar_ms(home: Home, ledger: Ledger, model: str, *, repeats: int = 5) -> list[float]:
    """Time the ranking of the pool, in milliseconds of the processor."""
    spent = []
    for turn in range(repeats + 1):
        began = time.process_time()
        where = ("brightness=dark", "class=class+1", "class=class+1&size=small")[turn % 3]
        find_similar(home, ledger, RoundSettings(), model=model, source="holdout", where=where)
        spent.append(1000 * (time.process_time() - began))
    return spent[1:]


def _frames(rng: np.random.Generator, count: int) -> FrameColumns:
    def whole(most: int) -> np.ndarray:
        return rng.integers(0, most, count).astype(np.int32)

    return FrameColumns(
        task=1 + whole(30),
        frame=np.arange(count, dtype=np.int32),
        job=whole(1000),
        image=np.array([f"{n:064x}" for n in range(count)]),
        suffix=np.full(count, ".jpg"),
        width=np.full(count, 640, np.int32),
        height=np.full(count, 480, np.int32),
        subset=whole(3),
        group=np.arange(count, dtype=np.int32),
        cluster=whole(8),
        brightness=rng.random(count).astype(np.float32),
        contrast=rng.random(count).astype(np.float32),
        sharpness=rng.random(count).astype(np.float32),
    )


def _boxes(rng: np.random.Generator, frame: np.ndarray) -> dict[str, np.ndarray]:
    count = len(frame)
    corner, side = rng.random((count, 2)) * 400, 10 + rng.random((count, 2)) * 70
    return {
        "frame": frame.astype(np.int32),
        "class_id": np.minimum(rng.geometric(0.3, count) - 1, 11).astype(np.int32),
        "box": np.concatenate([corner, corner + side], axis=1).astype(np.float32),
        "size": rng.random(count).astype(np.float32),
        "aspect": rng.normal(0, 0.6, count).astype(np.float32),
        "edge": np.maximum(rng.random(count) - 0.1, 0).astype(np.float32),
        "crowding": rng.integers(0, 5, count).astype(np.float32),
    }


def drawn_judged(rng: np.random.Generator, objects: int) -> EvaluationTable:
    """Draw what a model got right and wrong: worse on dark frames, and on small ones of a class."""
    frames = _frames(rng, objects // EACH)
    table = _boxes(rng, np.repeat(np.arange(len(frames)), EACH))
    dark = frames.brightness[table["frame"]] < 0.25
    small = (table["size"] < 0.25) & (table["class_id"] == 1)
    hit = rng.random(objects) < np.where(dark, 0.6, np.where(small, 0.5, 0.9))
    found = np.where(hit, np.cumsum(hit) - 1, -1).astype(np.int32)
    right = np.flatnonzero(hit)
    ghosts = objects  # one of low score for each object
    ghost = _boxes(rng, rng.integers(0, len(frames), ghosts))
    rows = {name: np.concatenate([table[name][right], ghost[name]]) for name in table}
    none = np.full(len(right) + ghosts, -1, np.int32)
    missing = np.full(objects, -1, np.int32)
    answers = AnswerColumns(
        **rows,
        score=np.concatenate([rng.beta(6, 2, len(right)), rng.beta(1, 4, ghosts)]).astype(
            np.float32
        ),
        right=np.concatenate([right, np.full(ghosts, -1)]).astype(np.int32),
        wrong=none,
        near=none,
        iou=np.concatenate([np.full(len(right), 0.8), np.zeros(ghosts)]).astype(np.float32),
    )
    marked = ObjectColumns(**table, found=found, other=missing, loose=missing)
    return EvaluationTable(
        classes=CLASSES,
        subsets=("train", "night", "day"),
        embedder="descriptor",
        cuts=cuts_of(frames, marked),
        centres=rng.normal(size=(8, Descriptor().width)).astype(np.float32),
        vectors=rng.integers(-127, 127, (len(frames), Descriptor().width)).astype(np.int8),
        frames=frames,
        objects=marked,
        answers=answers,
    )


def drawn_pool(rng: np.random.Generator, count: int) -> tuple[PoolTable, CropTable]:
    """Draw what a model saw in a pool."""
    frames = _frames(rng, count)
    rows = _boxes(rng, np.repeat(np.arange(count), POOL_EACH))
    total, none = count * POOL_EACH, np.full(count * POOL_EACH, -1, np.int32)
    answers = AnswerColumns(
        **rows,
        score=rng.beta(2, 3, total).astype(np.float32),
        right=none,
        wrong=none,
        near=none,
        iou=np.zeros(total, np.float32),
    )
    width = Descriptor().width
    seen = PoolTable(
        classes=CLASSES,
        subsets=("train", "night", "day"),
        embedder="descriptor",
        frames=frames,
        perceptual=np.array([f"{v:064x}" for v in rng.integers(0, 2**62, count).tolist()]),
        vectors=rng.integers(-127, 127, (count, width)).astype(np.int8),
        answers=answers,
    )
    return seen, replace(_crops(rng, total), objects=0)


def _crops(rng: np.random.Generator, count: int) -> CropTable:
    rows = np.arange(count, dtype=np.int32)
    vectors = rng.integers(-127, 127, (count, Descriptor().width), dtype=np.int8)
    return CropTable(rows, vectors, count)
