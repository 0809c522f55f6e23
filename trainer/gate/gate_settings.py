"""The settings of the promotion gate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.errors import ConfigError


@dataclass(frozen=True)
class GateSettings:
    """What a challenger must achieve.

    metric: "ap" or "ap50". min_gain: minimum gain of the metric, 0..1. max_class_drop: maximum loss
    of the metric of any class, 0..1. min_class_objects: a class with fewer objects in the holdout
    is reported but does not decide. confidence: that the gain is above 0, 0.5..1. min_frames: a
    holdout with fewer frames cannot distinguish two models. resamples: of the bootstrap. The first
    model has no champion to beat, and a class may be good although the mean is not: either is
    useful from an AP50 of useful_ap50 with a lower bound, at useful_confidence, of useful_low, on
    at least useful_objects objects. A model that is not useful still informs the selection of
    frames from a lower bound of informs_low. min_first_metric: a minimum of the metric set by the
    team; it then decides alone whether the first model serves. max_leak_share: maximum share of the
    holdout that may be near-duplicates of training frames, 0..1; above it nothing is promoted.
    max_calibration_error: above it people are warned (a model is not rejected for it: it ranks its
    detections as well, and a threshold can be adjusted).
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
