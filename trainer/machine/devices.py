"""The devices of this machine and their free memory, without loading torch."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_ASK = ("nvidia-smi", "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader,nounits")
_SECONDS = 5.0
_MIB = 1 << 20


@dataclass(frozen=True)
class Device:
    """name: as FitConfig.device has it. words: for people. free, total: bytes, None if unknown."""

    name: str
    words: str
    free: int | None
    total: int | None


def devices() -> tuple[Device, ...]:
    """Return the GPUs that nvidia-smi reports, then the processor."""
    return (*_gpus(), _processor())


def _gpus() -> list[Device]:
    try:
        done = subprocess.run(_ASK, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []  # no such program, or no driver: there is no GPU that torch could use
    rows = [line.rsplit(",", 2) for line in done.stdout.splitlines() if line.count(",") >= 2]
    found = []
    for number, place in enumerate(_visible(len(rows))):
        name, free, total = (part.strip() for part in rows[place])
        sizes = [int(size) * _MIB if size.isdigit() else None for size in (free, total)]
        found.append(Device(f"cuda:{number}", name, *sizes))
    return found


def _visible(count: int) -> list[int]:
    """Return which of the GPUs this process may use, in torch's order."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(range(count))
    numbers = [int(part) for part in chosen.split(",") if part.strip().isdigit()]
    return [number for number in numbers if number < count]


def _processor() -> Device:
    sizes: dict[str, int | None] = dict.fromkeys(("MemAvailable", "MemTotal"))
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, rest = line.partition(":")
        if name in sizes and rest.split()[:1]:
            sizes[name] = int(rest.split()[0]) * 1024
    cores = f"{os.cpu_count() or 1} cores"
    return Device("cpu", f"processor, {cores}", sizes["MemAvailable"], sizes["MemTotal"])
