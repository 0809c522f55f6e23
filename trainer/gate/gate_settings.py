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
    min_frames: a holdout with fewer frames cannot tell two models apart. resamples: of the
    bootstrap.
    The first model has no champion to beat, and a class may be good where the mean is not: either
    is of use from an AP50 of useful_ap50 whose lower bound, at useful_confidence, is useful_low,
    on at least useful_objects objects. A model that is not still informs the choice of frames
    from a lower bound of informs_low.
    min_first_metric: a floor for the metric that a team sets by itself; it then decides alone whether
    the first model serves.
    max_leak_share: how much of the holdout may be near-duplicates of what was learnt, 0..1; above
    it nothing is promoted. max_calibration_error: above it people are warned (a model is not
    refused for it: its answers are as well found, and a threshold can be moved).
    """

    metric: str = "ap"
    min_gain: float = 0.0
    max_class_drop: float = 0.10
    min_class_objects: int = 20
    confidence: float = 0.95
    min_frames: int = 10
    min_first_metric: float | None = None
    useful_ap50: float = 0.20
    useful_low: float = 0.10
    useful_objects: int = 5
    useful_confidence: float = 0.90
    informs_low: float = 0.05
    resamples: int = 1000
    max_leak_share: float = 0.1
    max_calibration_error: float = 0.2

    def __post_init__(self) -> None:
        faults = [
            f"{name} must lie in {low}..{high}: {getattr(self, name)}"
            for name, low, high in (
                ("min_gain", 0, 1),
                ("max_class_drop", 0, 1),
                ("min_first_metric", 0, 1),
                ("useful_ap50", 0, 1),
                ("useful_low", 0, 1),
                ("informs_low", 0, 1),
                ("confidence", 0.5, 0.999),
                ("useful_confidence", 0.5, 0.999),
                ("min_class_objects", 1, math.inf),
                ("useful_objects", 1, math.inf),
                ("min_frames", 2, math.inf),
                ("resamples", 100, 1_000_000),
                ("max_leak_share", 0, 1),
                ("max_calibration_error", 0, 1),
            )
            if getattr(self, name) is not None and not low <= getattr(self, name) <= high
        ]
        if self.metric not in ("ap", "ap50"):
            faults.append(f"metric must be ap or ap50: {self.metric!r}")
        if faults:
            raise ConfigError(faults)
