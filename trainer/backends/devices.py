"""Check that this machine has the devices that a fit requests."""

from __future__ import annotations

from trainer.backends.fit_checks import devices_of
from trainer.detector import FitConfig


def device_faults(config: FitConfig) -> list[str]:
    """Return a sentence for each requested device that torch does not find; loads torch."""
    requested = devices_of(config)
    if requested == ["cpu"]:
        return []
    import torch

    found = [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    usable = {*found, *(["cuda"] if torch.cuda.device_count() else [])}
    available = ", ".join(["cpu", *found])
    return [
        f"device {name} is not on this machine, or torch cannot use it; there are: {available}"
        for name in requested
        if name not in usable
    ]
