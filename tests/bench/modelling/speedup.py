"""ONNX Runtime against torch: one network, one image a call, one thread each.

    python -m tests.bench.modelling.speedup [--images 12] [--rounds 5] [--threads 1]

One thread, since torch's threads wait for each other at every layer: on cores that others use too
it would lose for that alone, by a factor of eight where this was first tried. torch runs
ultralytics' network fused and in inference mode, as ultralytics itself serves it. Both get the
same tensors, take turns, and must answer the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figures import Figure, write
from tests.bench.modelling.weights import SIDE, network
from trainer.engines import load
from trainer.importing import ImportRequest, import_model, sandboxed_process

NETWORKS = ("yolo11n", "yolov8n-seg")
TOLERANCE = 2e-3  # of a share or, relative to the input's side, of a coordinate


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each network and write onnx_speedup; the first gives its name to the figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.modelling.speedup")
    parser.add_argument("--data", type=Path, help="not read: tensors are drawn")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    figures = []
    for name in NETWORKS:
        with tempfile.TemporaryDirectory(prefix="bench-speedup-") as folder:
            figures.append(measure(Path(folder), name, given))
    write("models", figures)


def measure(folder: Path, name: str, given: argparse.Namespace) -> Figure:
    """Return seconds an image of both, and how far their answers lie apart."""
    import torch

    threads, images, rounds = given.threads, given.images, given.rounds
    torch.set_num_threads(threads)
    made = network(name, 1)
    made.save(folder / "weights.pt")
    # Our export keeps 16 bits of a weight, as ultralytics' own files do: torch gets the same.
    rounded = made.model.half().float().fuse(verbose=False).eval()
    request = ImportRequest(
        folder / "weights.pt", name, trusted=not sandboxed_process.sandbox_available()
    )
    bundle = import_model(request, folder / "bundle")
    session = load(bundle, threads=threads).session  # type: ignore[attr-defined]
    rng = np.random.default_rng(7)
    batch = [rng.random((1, 3, SIDE, SIDE), np.float32) for _ in range(images)]

    def by_onnx(pixels: Any) -> Any:
        return session.run(None, {"images": pixels})[0]

    def by_torch(pixels: Any) -> Any:
        with torch.inference_mode():
            found = rounded(torch.from_numpy(pixels))
            while not hasattr(found, "numpy"):
                found = found[0]
            return found.numpy()

    apart = difference(by_onnx(batch[0]), by_torch(batch[0]))
    if apart > TOLERANCE:
        raise ValueError(f"{name}: the two do not answer the same, {apart:.2g} apart")
    seconds: dict[str, list[float]] = {"onnx": [], "torch": []}
    ways: dict[str, Callable[[Any], Any]] = {"onnx": by_onnx, "torch": by_torch}
    for turn in range(rounds + 1):
        for way in sorted(ways, reverse=bool(turn % 2)):
            began = time.perf_counter()
            for pixels in batch:
                ways[way](pixels)
            if turn:  # the first warms both
                seconds[way].append((time.perf_counter() - began) / images)
    ours, theirs = (statistics.median(seconds[way]) for way in ("onnx", "torch"))
    ratio = statistics.median(t / o for t, o in zip(seconds["torch"], seconds["onnx"], strict=True))
    note = (
        f"{name} at {SIDE} pixels, one image a call, {threads} threads each; ours {ours * 1e3:.1f} "
        f"ms; {rounds} turns of {images} images; answers {apart:.1g} apart; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    title = "onnx_speedup" if name == NETWORKS[0] else f"onnx_speedup/{name}"
    return Figure(title, ratio, "times", "torch, s an image", theirs, ratio, note)


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest gap of (1, 4 + C (+ M), A): of coordinates as a share of the side."""
    gap = np.abs(ours - theirs)
    return float(max(gap[:, :4].max() / SIDE, gap[:, 4:84].max()))


if __name__ == "__main__":
    main()
