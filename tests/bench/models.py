"""What a team's own model costs and gives in CVAT: `make bench ONLY=models`.

Each part is a module of tests.bench.modelling with a `main` that writes its figures into
models.json; `--what` runs one.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "modelling"
PARTS = ("ready", "speedup", "memory", "agreement", "throughput")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts one after the other; other arguments than --what are passed on."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.models", description=__doc__)
    there = [part for part in PARTS if (FOLDER / f"{part}.py").exists()]
    parser.add_argument("--what", choices=there, help="one part")
    given, rest = parser.parse_known_args(arguments)
    for part in [given.what] if given.what else there:
        print(f"-- {part}", flush=True)
        importlib.import_module(f"tests.bench.modelling.{part}").main(rest)


if __name__ == "__main__":
    main()
