"""Time and memory of one selector on one pool size, alone in its process.

`python -m tests.bench.selecting.speed --selector k_center --frames 100000` prints one JSON line.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from active_learning.pool import Objects, Pool
from active_learning.strategies import STRATEGIES

WIDTH, SCENES, OBJECTS, CLASSES = 128, 1000, 5, 3
OURS = ("k_center", "k_means_pp", "uncertainty_diversity")
# What each of ours is held against, and above how many frames the peer is timed on a smaller
# budget and scaled up, because it would take hours.
PEERS = {
    "k_center": ("numpy_k_center", "small_text_coreset"),
    "k_means_pp": ("sklearn_k_means_pp",),
    "uncertainty_diversity": ("numpy_k_center", "small_text_coreset"),
}
SCALED_ABOVE = {"numpy_k_center": 10_000, "sklearn_k_means_pp": 10_000, "small_text_coreset": 0}
SCALED_BUDGET = 20
MOST_FRAMES = {"small_text_coreset": 10_000}


def embeddings(frames: int) -> np.ndarray:
    """Frames around a thousand scenes, as wide apart from their scene as scenes are apart."""
    rng = np.random.default_rng(0)
    scenes = 2 * rng.standard_normal((SCENES, WIDTH), dtype=np.float32)
    rows = np.empty((frames, WIDTH), np.float32)
    for start in range(0, frames, 1 << 16):
        block = rows[start : start + (1 << 16)]
        block[:] = rng.standard_normal(block.shape, dtype=np.float32)
        block += scenes[rng.integers(0, SCENES, len(block))]
    return rows


def pool(frames: int) -> Pool:
    """A pool with five candidates a frame, as a detector of three classes gives them."""
    rng = np.random.default_rng(1)
    return Pool(
        ids=np.char.add("frame-", np.arange(frames).astype(np.str_)),
        embeddings=embeddings(frames),
        objects=Objects(
            offsets=np.arange(0, OBJECTS * frames + 1, OBJECTS),
            probabilities=rng.random((OBJECTS * frames, CLASSES), dtype=np.float32),
        ),
    )


def numpy_k_center(rows: np.ndarray, budget: int) -> object:
    """Greedy k-centre as it is usually written: one distance to all frames a step."""
    taken = [0]
    nearest = np.linalg.norm(rows - rows[0], axis=1)
    while len(taken) < budget:
        taken.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.linalg.norm(rows - rows[taken[-1]], axis=1))
    return taken


def sklearn_k_means_pp(rows: np.ndarray, budget: int) -> object:
    """scikit-learn's seeding, with one trial a step, as k-means++ was published."""
    from sklearn.cluster import kmeans_plusplus

    return kmeans_plusplus(rows, budget, n_local_trials=1, random_state=0)


def small_text_coreset(rows: np.ndarray, budget: int) -> object:
    """small-text's own greedy core-set, Euclidean, from one labelled frame."""
    from small_text.query_strategies.coresets import greedy_coreset

    return greedy_coreset(
        rows, np.arange(1, len(rows)), np.array([0]), budget, distance_metric="euclidean"
    )


_PACKAGE = {
    "numpy_k_center": "numpy",
    "sklearn_k_means_pp": "sklearn",
    "small_text_coreset": "small_text",
}
RIVALS: dict[str, Callable[[np.ndarray, int], object]] = {
    "numpy_k_center": numpy_k_center,
    "sklearn_k_means_pp": sklearn_k_means_pp,
    "small_text_coreset": small_text_coreset,
}


def measure(selector: str, frames: int, budget: int) -> dict[str, float]:
    """Run one selector in a process of its own; seconds, peak MB, MB before it began."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench.selecting.speed", "--selector", selector),
            *("--frames", str(frames), "--budget", str(budget)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{selector} on {frames} frames failed:\n{done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def rival_seconds(name: str, frames: int, budget: int) -> tuple[float, str] | None:
    """Return a peer's seconds for the budget and how they were had, or None: it cannot do it.

    Its cost grows with the budget times the frames or faster, so above SCALED_ABOVE frames two
    small budgets are timed and the step between them is scaled up: a lower bound.
    """
    if frames > MOST_FRAMES.get(name, frames) or importlib.util.find_spec(_PACKAGE[name]) is None:
        return None
    if frames <= SCALED_ABOVE[name]:
        return measure(name, frames, budget)["seconds"], ""
    small = measure(name, frames, SCALED_BUDGET // 2)["seconds"]
    large = measure(name, frames, SCALED_BUDGET)["seconds"]
    step = max(large - small, 0.0) / (SCALED_BUDGET - SCALED_BUDGET // 2)
    seconds = small + step * (budget - SCALED_BUDGET // 2)
    return seconds, f"peer timed on {SCALED_BUDGET} picks and scaled to {budget}"


def main() -> None:
    """Measure one selector here."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--selector", required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--budget", type=int, default=1000)
    given = parser.parse_args()
    if given.selector in RIVALS:
        rows = embeddings(given.frames)
        RIVALS[given.selector](rows[:200], 5)  # imports are not what is measured
        before, began = _peak(), time.monotonic()
        RIVALS[given.selector](rows, given.budget)
    else:
        strategy = STRATEGIES[given.selector]
        strategy(pool(200), budget=5, rng=np.random.default_rng(0))
        candidates = pool(given.frames)
        before, began = _peak(), time.monotonic()
        strategy(candidates, budget=given.budget, rng=np.random.default_rng(0))
    seconds = time.monotonic() - began
    print(json.dumps({"seconds": seconds, "peak_mb": _peak(), "before_mb": before}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
