"""`make faults`: run the campaign and write tests/bench/results/faults.json."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import structlog

from tests.faults.bridge import homes, late_writes
from tests.faults.calls import spoilt_calls
from tests.faults.campaign import Line, bad_models, bodies, deliveries, hosted, kills
from tests.faults.hostile import hostile_files
from tests.faults.killing import killed_bridges, killed_fits, killed_hosts, killed_servers
from tests.faults.people import interleavings

RESULT = Path(__file__).parents[1] / "bench" / "results" / "faults.json"
SECONDS = 180.0  # of bad calls
KILLS, BODIES = 60, 2000


def _host(folder: Path, _count: int) -> Sequence[Line]:
    with hosted(folder) as (url, host):
        return [kills(url, host, KILLS), bodies(url, BODIES), *bad_models(url, SECONDS)]


# What is tried, how often, and by what. The host is tried by seconds.
PARTS: Mapping[str, tuple[int, Callable[[Path, int], Line | Sequence[Line]]]] = {
    "host": (1, _host),
    "deliveries": (10_000, lambda _folder, count: deliveries(count)),
    "calls": (560, spoilt_calls),
    "people": (510, interleavings),
    "late": (40, late_writes),
    "homes": (99, homes),
    "hostile": (108, hostile_files),
    "hosts": (15, killed_hosts),
    "servers": (20, killed_servers),
    "bridges": (16, killed_bridges),
    "fits": (6, killed_fits),
}


def main() -> int:
    """Run it; 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--count", type=int, help="how often, instead of what each part says")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    held = True
    for name in given.only:
        count, part = PARTS[name]
        print(f"== {name}", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            made = part(Path(folder), given.count or count)
        lines = [made] if isinstance(made, Line) else list(made)
        for line in lines:
            print(f"{line.name}: tried {line.tried}, held {line.held} {line.figures or ''}")
            print("".join(f"  {failed}\n" for failed in line.failed), end="")
        print(f"{time.monotonic() - began:.0f} s", flush=True)
        _keep(lines)
        held = held and all(line.held == line.tried for line in lines)
    return int(not held)


def _keep(lines: Sequence[Line]) -> None:
    """Write the lines beside those that were found before."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    before = json.loads(RESULT.read_text("utf-8"))["lines"] if RESULT.exists() else []
    kept = {line["name"]: line for line in before} | {line.name: asdict(line) for line in lines}
    content = {"machine": machine, "lines": list(kept.values())}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
