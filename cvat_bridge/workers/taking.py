"""The options of a worker, checked before it joins."""

from __future__ import annotations

import os
import subprocess
import sys

from cvat_bridge.errors import ConfigError
from cvat_bridge.queues.names import PROTOCOL, QUEUES
from cvat_bridge.queues.presence import Worker
from trainer.backends.fit_checks import is_device

# In a process of its own, so that a worker that only predicts never loads torch.
_ASK = (
    "import sys, torch; name = sys.argv[1]; "
    "index = int(name.partition(':')[2] or 0); "
    "count = torch.cuda.device_count(); "
    "print(torch.cuda.get_device_properties(index).total_memory if index < count else -count - 1)"
)


def chosen_queues(text: str) -> tuple[str, ...]:
    """Return the queues that are named; ConfigError for one that does not exist, or none."""
    named = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    unknown = [one for one in named if one not in QUEUES]
    if unknown or not named:
        found = ", ".join(unknown) or "none"
        raise ConfigError([f"--queues: {', '.join(QUEUES)} exist, found {found}"])
    return named


def device_memory(device: str) -> int:
    """Return the bytes of a device, of the machine for its processor.

    Raises ConfigError for a device that this machine does not have.
    """
    if device == "cpu" or not device.startswith("cuda"):
        if not is_device(device):
            raise ConfigError([f"--device: cpu, mps, cuda or cuda:0 is expected, found {device!r}"])
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, device], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["torch cannot be loaded"])[-1]
        raise ConfigError([f"--device {device}: {why}; install the extra train"])
    found = int(asked.stdout)
    if found < 0:
        raise ConfigError(
            [f"--device {device}: this machine has {-found - 1} GPUs that torch can use"]
        )
    return found


def in_words(one: Worker) -> str:
    """Describe a worker in a line."""
    doing = one.doing
    at = f"{doing['work']}: {doing['stage']}" if doing.get("work") else "waits for work"
    if doing.get("total"):
        at += f" {doing['done']} of {doing['total']}"
    other = "" if one.protocol == PROTOCOL else ", of another version: gets no work from this one"
    return (
        f"{one.name}: {one.machine}, version {one.version}{other}, {', '.join(one.queues)} on "
        f"{one.device} with {one.memory / 2**30:.1f} GiB; {at}"
    )
