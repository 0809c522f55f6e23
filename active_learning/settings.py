"""The settings of the selection, validated on construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.measures.confident import MIN_CONFIDENCE
from active_learning.measures.cost import CostModel


@dataclass(frozen=True)
class SelectionSettings:
    """How a batch is selected.

    strategy: a name of STRATEGIES, or "auto": cold_start until a trusted model has predicted the
    pool, then uncertainty_diversity; with a single class stratified_random, since uncertainty alone
    saved no labels in replays. cold_start: the strategy of the first rounds. min_labelled: with
    fewer labelled frames, "auto" keeps the cold start even if the model is trusted. control_share:
    part of the batch drawn at random, at least one frame from a budget of 5. weak_share: the same
    while the model is too weak to serve (ProjectState.weak) but "auto" uses it for selection
    (control_share 0 stays 0). control_warmup_frames: with fewer labelled frames, "auto" raises
    control_share, up to a half without labels: a weak model's uncertainty is misleading (0: never;
    control_share 0 stays 0). cap_per_group: maximum frames per video or scene in the strategy's
    part, or None. It is never lifted, so a pool with few groups may give less than the budget.
    class_need: 0 ignores classes, 1 weights objects by rarity and low AP, 2 more strongly.
    class_quotas: class name → frames of the batch that seem to show it, selected first.
    near_duplicate: two frames closer than this share of the pool's typical distance are not both
    selected while others are left; 0 excludes only exact copies, None nothing. candidates:
    uncertainty_k_means_pp, disagreement_diversity and others that narrow the pool first consider
    the candidates * budget most informative frames. min_confidence: the default strategy ignores
    candidates below this probability. k, empty_frame_quantile: see aggregate.frame_values.
    gain_per_second: select by gain per second of annotation time, as given by `cost`. stop_gain:
    expected AP gain of the next batch below which the advice is to stop.
    """

    strategy: str = "auto"
    cold_start: str = "typiclust"
    min_labelled: int = 0
    control_share: float = 0.10
    weak_share: float = 0.40
    control_warmup_frames: int = 30
    cap_per_group: int | None = None
    class_need: float = 1.0
    class_quotas: Mapping[str, int] = field(default_factory=dict)
    near_duplicate: float | None = 0.05
    candidates: float | None = 2.0
    min_confidence: float = MIN_CONFIDENCE
    k: int = 3
    empty_frame_quantile: float = 0.0
    gain_per_second: bool = False
    cost: CostModel = field(default_factory=CostModel)
    stop_gain: float = 0.002

    def __post_init__(self) -> None:
        """Report every fault at once."""
        faults = []
        if not 0 <= self.control_share <= 1:
            faults.append(f"control_share must lie in 0..1, found {self.control_share}")
        if not 0 <= self.weak_share <= 1:
            faults.append(f"weak_share must lie in 0..1, found {self.weak_share}")
        if self.control_warmup_frames < 0:
            faults.append(
                f"control_warmup_frames must be 0 or more, found {self.control_warmup_frames}"
            )
        if self.cap_per_group is not None and self.cap_per_group < 1:
            faults.append(f"cap_per_group must be 1 or more, found {self.cap_per_group}")
        if self.near_duplicate is not None and not 0 <= self.near_duplicate < np.inf:
            faults.append(f"near_duplicate must be 0 or more, found {self.near_duplicate}")
        if self.candidates is not None and not 1 <= self.candidates < np.inf:
            faults.append(f"candidates must be 1 or more, found {self.candidates}")
        if not 0 <= self.min_confidence <= 1:
            faults.append(f"min_confidence must lie in 0..1, found {self.min_confidence}")
        if not 0 <= self.class_need < np.inf:
            faults.append(f"class_need must be 0 or more, found {self.class_need}")
        if self.min_labelled < 0:
            faults.append(f"min_labelled must be 0 or more, found {self.min_labelled}")
        if not 0 <= self.stop_gain < np.inf:
            faults.append(f"stop_gain must be 0 or more, found {self.stop_gain}")
        if self.k < 1:
            faults.append(f"k must be 1 or more, found {self.k}")
        if not 0 <= self.empty_frame_quantile <= 1:
            faults.append(
                f"empty_frame_quantile must lie in 0..1, found {self.empty_frame_quantile}"
            )
        faults += [
            f"class_quotas[{name!r}] must be 0 or more, found {count}"
            for name, count in self.class_quotas.items()
            if count < 0
        ]
        if faults:
            raise InvalidPoolError("\n".join(faults))
