"""Each file of a home, what may happen to it, and who reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path


def gone(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: max(1, 2 * len(content) // 3)])


def overwritten(path: Path) -> None:
    path.write_bytes(b"\x07\xfe{" * (path.stat().st_size // 3 + 1))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "gone": gone,
    "empty": empty,
    "cut": cut,
    "overwritten": overwritten,
    "a folder": a_folder,
}
# By the pattern of its path in the home; the first file that fits is damaged.
FILES: Mapping[str, str] = {
    "ledger": "ledger.db",
    "rounds": "rounds.db",
    "predictions": "predictions/*.db",
    "image": "images/*/*.png",
    "annotations": "annotations/*.json",
    "snapshot's annotations": "snapshots/*/annotations.json",
    "snapshot's manifest": "snapshots/*/manifest.json",
    "snapshot's image": "snapshots/*/images/*.png",
    "webhook's secret": "webhook.secret",
    "service's token": "service.token",
    "home's identity": "identity",
}


def damaged(home: Path, file: str, damage: str) -> Path:
    """Damage a file of a home; return which."""
    path = min(home.glob(FILES[file]))
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    DAMAGES[damage](path)
    return path
