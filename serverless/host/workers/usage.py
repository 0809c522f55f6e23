"""What memory a process takes, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def own_bytes(pid: int) -> int:
    """Return the memory that a process takes, its share of what it has in common with others.

    0 where it has ended or the system does not tell.
    """
    return _field(pid, "smaps_rollup", "Pss:")


def grown_bytes(pid: int) -> int:
    """Return the memory that a process filled itself, quick to read; 0 as for own_bytes."""
    return _field(pid, "status", "RssAnon:")


def _field(pid: int, name: str, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{name}").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)
