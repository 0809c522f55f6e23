"""What a challenger must show before it may serve."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.errors import ConfigError


@dataclass(frozen=True)
class GateSettings:
    """What a challenger must show.

    metric: "ap" or "ap50". min_gain: how much it must rise, 0..1. max_class_drop: how far the
    metric of any one class may fall, 0..1. min_class_objects: a class with fewer objects in the
    holdout is reported but not judged. confidence: how sure the gain must be above 0, 0.5..1.
    min_frames: a holdout with fewer frames cannot tell two models apart. min_first: what the
    first model, which has no champion to beat, must reach. resamples: of the bootstrap.
    max_leak_share: how much of the holdout may be near-duplicates of what was learnt, 0..1; above
    it nothing is promoted. max_calibration_error: above it people are warned (a model is not
    refused for it: its answers are as well found, and a threshold can be moved).
    """

    metric: str = "ap"
    min_gain: float = 0.0
    max_class_drop: float = 0.05
    min_class_objects: int = 20
    confidence: float = 0.95
    min_frames: int = 10
    min_first: float = 0.1
    resamples: int = 1000
    max_leak_share: float = 0.1
    max_calibration_error: float = 0.2

    def __post_init__(self) -> None:
        faults = [
            f"gate.{name} must lie in {low}..{high}: {getattr(self, name)}"
            for name, low, high in (
                ("min_gain", 0, 1),
                ("max_class_drop", 0, 1),
                ("min_first", 0, 1),
                ("confidence", 0.5, 0.999),
                ("min_class_objects", 1, math.inf),
                ("min_frames", 2, math.inf),
                ("resamples", 100, 1_000_000),
                ("max_leak_share", 0, 1),
                ("max_calibration_error", 0, 1),
            )
            if not low <= getattr(self, name) <= high
        ]
        if self.metric not in ("ap", "ap50"):
            faults.append(f"gate.metric must be ap or ap50: {self.metric!r}")
        if faults:
            raise ConfigError(faults)
