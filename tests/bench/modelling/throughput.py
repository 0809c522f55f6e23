"""Frames a second over a whole task: our command against the bare network and CVAT's two ways.

    python -m tests.bench.modelling.throughput [--bundle DIR] [--frames 300] [--repeats 3]

One network, one threshold, the same frames, the machine's cores for everybody. Bare is the network
alone on tensors that were decoded and scaled before, in batches of the same size, laid out over
the cores in the quicker of two ways (a batch a core, or one batch over all cores). The ways take
turns, ours between any two others, so that what else the machine does falls on all of them: a
figure is the median over the turns of the peer's time to ours before and after it. Processor time
is compared too, since other work on the machine does not change it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from tests.bench.figures import Figure, write
from tests.bench.modelling.stage import Server, frames, published, trained
from tests.bench.modelling.ways import BATCH, CORES, Bare, Ours, by_menu, by_sdk, ours
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.data.images import decode
from trainer.engines import load

OBJECTS = 8  # a frame, on average: the threshold is set so


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the three figures into models.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.modelling.throughput")
    parser.add_argument("--data", type=Path, help="not read: frames are drawn")
    parser.add_argument("--bundle", type=Path, help="a YOLO bundle; else one is trained")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-throughput-") as folder:
        write("models", measure(Path(folder), given))


def measure(folder: Path, given: argparse.Namespace) -> list[Figure]:
    """Let the ways take turns over the same frames."""
    bundle = read_bundle(given.bundle) if given.bundle else trained(folder)
    (folder / "frames").mkdir()
    files = frames(folder / "frames", given.frames)
    threshold = threshold_for(bundle, files[:24])
    store = folder / "functions"
    store.mkdir()
    published(store, bundle)
    bare = Bare(bundle, files)
    turns: list[Turn] = []
    with (
        hosting(store, builtin=False) as host,
        running(folder / "cvat", function_host=host) as sandbox,
    ):
        server = Server(sandbox.url, sandbox.admin_token)

        tasks: list[int] = []

        def task_for(name: str) -> int:
            tasks.append(server.task(name, files))
            return tasks[-1]

        def our_time() -> Ours:
            return ours(folder, server, bundle, task_for("ours"), threshold)

        ways: dict[str, Callable[[], float]] = {
            "bare": bare.run,
            "cvat": lambda: by_menu(server, task_for("cvat"), threshold),
            "annotate_task": lambda: by_sdk(server, bundle, task_for("sdk"), threshold),
        }
        before = our_time()
        for _ in range(given.repeats):
            peers, mine = {}, {}
            for name, way in ways.items():
                peers[name] = way()
                after = our_time()
                mine[name] = (before.seconds + after.seconds) / 2
                before = after
            turns.append(Turn(mine, peers, bare.processor, before.processor))
        written = {len(server.shapes(task)) for task in tasks}
    # A score on the very threshold may fall on either side of it in another batch.
    assert max(written) - min(written) <= 0.005 * before.objects, f"they wrote {written} objects"
    return figures(turns, given.frames, bare.layout, before.objects)


@dataclass(frozen=True)
class Turn:
    """Seconds of each peer and of ours around it; processor seconds of bare and of ours."""

    mine: dict[str, float]
    peers: dict[str, float]
    bare_processor: float
    our_processor: float


def threshold_for(bundle: Bundle, files: Sequence[Path]) -> float:
    """Return the score that OBJECTS objects a frame reach."""
    pixels = [decode(path.read_bytes()) for path in files]
    found = load(bundle, threads=CORES).detect(pixels, min_score=0.01)
    scores = np.sort(np.concatenate([one.scores for one in found]))[::-1]
    return round(float(scores[min(len(scores), OBJECTS * len(files)) - 1]), 3)


def figures(
    turns: Sequence[Turn], number: int, layout: tuple[int, int], objects: int
) -> list[Figure]:
    """Make the figures; rates are medians, ratios medians of the turns' ratios."""
    middle = statistics.median
    note = (
        f"YOLO11n at 640 x 480, {number} frames, {objects} objects written by each way, "
        f"{len(turns)} turns, {CORES} cores, batches of {BATCH}; ours: {CORES} batches at once, a "
        f"core each; bare: {layout[1]} at once on {layout[0]}; a sandbox on the same cores"
    )
    peers = {"bare": "the network alone", "cvat": "CVAT's batch request through the host",
             "annotate_task": "cvat_sdk annotate_task, the same network"}  # fmt: skip
    found = [
        Figure(
            f"throughput_vs_{name}",
            number / middle(turn.mine[name] for turn in turns),
            "frames/s",
            text,
            number / middle(turn.peers[name] for turn in turns),
            middle(turn.peers[name] / turn.mine[name] for turn in turns),
            note,
        )
        for name, text in peers.items()
    ]
    mine = middle(turn.our_processor for turn in turns) / number
    alone = middle(turn.bare_processor for turn in turns) / number
    text = "processor time of the network alone"
    return [
        *found,
        Figure("throughput_processor", mine, "s/frame", text, alone, alone / mine, note),
    ]


if __name__ == "__main__":
    main()
