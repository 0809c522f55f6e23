"""The one form of every result file: a figure beside the peer measured in the same run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured value. peer: what it is compared with; ratio: value to peer_value.

    value: None where a figure would mislead; the note then says why.
    """

    name: str
    value: float | None
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    note: str = ""


def write(
    area: str, figures: Sequence[Figure], *, stale: Callable[[str], bool] = lambda _: False
) -> Path:
    """Write <area>.json, and print it as a table; figures of the same name are replaced.

    stale: tells by its name whether an old figure that no new one replaces is dropped.
    """
    path = RESULTS / f"{area}.json"
    known = json.loads(path.read_text())["figures"] if path.exists() else []
    names = {figure.name for figure in figures}
    kept = [row for row in known if row["name"] not in names and not stale(row["name"])]
    rows = kept + [asdict(figure) for figure in figures]
    content = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}",
        "commit": _commit(),
        "figures": sorted(rows, key=lambda row: row["name"]),
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for figure in figures:
        peer = f" · {figure.peer}: {figure.peer_value:.4g}" if figure.peer_value is not None else ""
        ratio = f" · ratio {figure.ratio:.3g}" if figure.ratio is not None else ""
        value = "none" if figure.value is None else f"{figure.value:.4g}"
        print(f"{figure.name}: {value} {figure.unit}{peer}{ratio} {figure.note}")
    return path


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
