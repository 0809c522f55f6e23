"""`make faults`: run the campaign and write tests/bench/results/faults.json."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import structlog

from tests.faults.bridge import homes, late_writes
from tests.faults.campaign import bad_models, bodies, deliveries, hosted, kills

RESULT = Path(__file__).parents[1] / "bench" / "results" / "faults.json"


def main() -> int:
    """Run it; 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=240, help="of bad calls")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--bodies", type=int, default=2000)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--homes", type=int, default=99, help="damages to files of the home")
    parser.add_argument("--late", type=int, default=40, help="requests carried out late")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, hosted(Path(folder)) as served:
        url, host = served
        lines = [kills(url, host, given.kills), bodies(url, given.bodies)]
        lines += bad_models(url, given.seconds)
    lines.append(deliveries(given.deliveries))
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        lines += [
            homes(Path(folder) / "homes", given.homes),
            late_writes(Path(folder) / "late", given.late),
        ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    content = {"machine": machine, "lines": [asdict(line) for line in lines]}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for line in lines:
        print(f"{line.name}: tried {line.tried}, held {line.held} {line.figures or ''}")
        for failed in line.failed:
            print(f"  {failed}")
    return int(any(line.held < line.tried for line in lines))


if __name__ == "__main__":
    sys.exit(main())
