"""`make bench`: run every area, or one; each leaves tests/bench/results/<area>.json."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

AREAS = {
    path.stem.replace("_", "-") if path.stem[0] != "_" else path.stem: f"tests.bench.{path.stem}"
    for path in sorted(Path(__file__).parent.glob("*.py"))
}
for helper in ("__init__", "__main__", "figures"):
    AREAS.pop(helper)


def main() -> int:
    """Run the areas one after the other; their own arguments are passed on."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--only", choices=sorted(AREAS), help="one area")
    parser.add_argument("--data", help="a folder in COCO form")
    given, rest = parser.parse_known_args()
    for area in [given.only] if given.only else AREAS:
        print(f"== {area}", flush=True)
        arguments = [*(["--data", given.data] if given.data else []), *rest]
        importlib.import_module(AREAS[area]).main(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
