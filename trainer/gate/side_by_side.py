"""Two models side by side on the same frames: figures, the gate's decision, where they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.bundles.bundle import Bundle
from trainer.data.dataset import Dataset
from trainer.data.leakage import find_leaks
from trainer.detector import Progress
from trainer.evaluation.compare import (
    ComparedModel,
    FrameGap,
    evaluate_model,
    frame_gaps,
    task_of,
)
from trainer.gate.gate_settings import GateSettings
from trainer.gate.promote import GateDecision, decide, groups_of


@dataclass(frozen=True)
class SideBySide:
    """The first model in the champion's place, the second in the challenger's.

    apart: all frames, those on which they differ most first.
    """

    task: str
    first: ComparedModel
    second: ComparedModel
    decision: GateDecision
    apart: tuple[FrameGap, ...]

    def to_json(self, frames: int) -> dict[str, Any]:
        """Return plain JSON values, with the first `frames` rows of apart."""
        return asdict(self.decision) | {
            "task": self.task,
            "champion": self.first.to_json(),
            "challenger": self.second.to_json(),
            "frames": [asdict(row) for row in self.apart[:frames]],
        }


def side_by_side(
    first: Bundle,
    second: Bundle,
    dataset: Dataset,
    *,
    split: str,
    settings: GateSettings,
    seed: int = 7,
    report: Callable[[Progress], None] | None = None,
) -> SideBySide:
    """Evaluate both on a split of a dataset.

    Raises ComparisonError for models that cannot be compared, or that have none of the dataset's
    classes, DatasetError when the split has no frame.
    """
    task = task_of([first, second])
    one, other = (
        evaluate_model(bundle, dataset, split=split, task=task, report=report)
        for bundle in (first, second)
    )
    decision = decide(
        one.evaluation,
        other.evaluation,
        settings,
        rng=np.random.default_rng(seed),
        groups=groups_of(dataset, split),
        leakage=find_leaks(dataset, split=split),
    )
    return SideBySide(task, one, other, decision, tuple(frame_gaps(one, other)))
