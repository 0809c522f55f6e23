"""How much memory a training step needs, how much is free, and how many samples fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.errors import TrainingError
from trainer.machine.out_of_memory import ALLOCATING, is_out_of_memory, out_of_memory

_SHARE = 0.8  # of the free memory: the rest is for temporary buffers and other processes
_SCRATCH = 1.5  # memory of a step over what autograd keeps: gradients of activations
_STATES = 5  # weights, gradients, two moments of Adam, the average
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes. fixed: independent of the batch. per_sample: for each sample processed at once."""

    fixed: int
    per_sample: int

    def of(self, samples: int) -> int:
        """Return the bytes of a step on this many samples at once."""
        return self.fixed + self.per_sample * samples

    def most(self, free: int) -> int:
        """Return how many samples fit into the free bytes at once; 0 if not even one."""
        return max(0, int(free * _SHARE) - self.fixed) // max(1, self.per_sample)


def measure_memory(network: nn.Module, forward: Callable[[], Tensor], samples: int) -> MemoryNeed:
    """Measure what one forward pass over `samples` samples keeps in memory for backward.

    Each tensor that autograd keeps is counted once, parameters excluded; so the result is the same
    on every device.
    """
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return MemoryNeed(_STATES * weights, int(_SCRATCH * sum(kept.values()) / samples))


def free_bytes(device: torch.device) -> int:
    """Return the memory that this process may still take on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    lines = Path("/proc/meminfo")
    if not lines.exists():
        return 1 << 40  # unknown on this system: the allocator decides
    rows = dict(line.split(":") for line in lines.read_text().splitlines())
    return min(int(rows["MemAvailable"].split()[0]) * 1024, _container_free_bytes())


def _container_free_bytes() -> int:
    """Return the bytes that a container's memory limit leaves."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except OSError:
        return 1 << 62
    return 1 << 62 if limit == "max" else max(0, int(limit) - used)


def check_image_memory(who: str, count: int, image_size: tuple[int, int]) -> None:
    """Raise TrainingError if the decoded images, at the network's size, do not fit into memory."""
    height, width = image_size
    need, free = count * height * width * 3, free_bytes(torch.device("cpu"))
    if need > _SHARE * free:
        raise TrainingError(
            who,
            f"{count} images of {height}x{width} take {need >> 20} MiB of memory, {free >> 20} MiB "
            "are free: choose a smaller image_size",
        )


@contextmanager
def memory_errors(who: str, *, batch: int, image_size: tuple[int, int]) -> Iterator[None]:
    """Turn an out-of-memory error into a TrainingError that says what to change."""
    try:
        yield
    except ALLOCATING as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(who, out_of_memory(batch, image_size, str(error))) from error
