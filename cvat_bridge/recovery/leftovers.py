"""What the folders of the home still tell of past rounds: fits and snapshots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.home import Home
from trainer.data.files import parse_json
from trainer.data.snapshot import MANIFEST

_RUN = re.compile(r"round-(\d+)-(?:interactor-)?[0-9a-f]{12}(?:-anew)?")


@dataclass(frozen=True)
class PulledSnapshot:
    """A snapshot of finished jobs, as its manifest tells it.

    round: that pulled it, None for one of a training by hand or of an earlier version. jobs:
    {"job", "task", "updated_date"}. images: {"sha256", "split", "group"}. written: seconds since
    1970, by the file system.
    """

    folder: Path
    fingerprint: str
    round: int | None
    jobs: Sequence[Mapping[str, Any]]
    images: Sequence[Mapping[str, Any]]
    label_ids: Mapping[str, int]
    written: float


def run_rounds(home: Home) -> dict[int, Path]:
    """Return a folder of a fit for each round that has one, by round."""
    folders = sorted(home.runs.iterdir()) if home.runs.is_dir() else []
    return {int(name[1]): path for path in folders if (name := _RUN.fullmatch(path.name))}


def pulled_snapshots(home: Home, project_id: int) -> list[PulledSnapshot]:
    """Return the snapshots of a project whose manifest can be read, the oldest first."""
    found = []
    for path in home.snapshots.glob(f"*/{MANIFEST}") if home.snapshots.is_dir() else ():
        try:
            manifest = parse_json(path.read_text(encoding="utf-8"))
            if manifest["project"] != project_id:
                continue
            found.append(
                PulledSnapshot(
                    path.parent,
                    str(manifest["fingerprint"]),
                    manifest.get("round"),
                    [
                        {k: row[k] for k in ("job", "task", "updated_date")}
                        for row in manifest["jobs"]
                    ],
                    [
                        {k: row[k] for k in ("sha256", "split", "group")}
                        for row in manifest["images"]
                    ],
                    {str(k): int(v) for k, v in manifest["label_ids"].items()},
                    path.stat().st_mtime,
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a damaged one tells nothing; what is missing is pulled again
    return sorted(found, key=lambda row: (row.written, row.fingerprint))
