"""The score from which each label's objects are pre-annotated, and on what that rests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.ledger.records import Correction
from cvat_bridge.settings import UNCALIBRATED, RoundSettings
from cvat_bridge.thresholds.correction_history import ENOUGH, CorrectionHistory, correction_history
from trainer.calibration.score_map import ScoreMaps
from trainer.calibration.worth import LEAST, ShapeSeconds, fixed_share

Basis = Literal["chosen", "configuration", "corrections", "calibration", "uncalibrated"]
_WHY: Mapping[Basis, str] = {
    "chosen": "as a person chose on the page",
    "configuration": "as the configuration says",
    "corrections": "where people's corrections show that a look is quicker than drawing",
    "calibration": "where a look is expected to be quicker than drawing",
    "uncalibrated": "a fixed score, since the model's scores are not calibrated",
}
_GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class DrawingSeconds:
    """A person's seconds for a shape by its form: rectangles, and polygons and masks."""

    box: ShapeSeconds
    outline: ShapeSeconds

    def of(self, label_type: str, task: str) -> ShapeSeconds:
        """Return those of the shape that an object of a label of this type becomes."""
        drawn = task == "masks" if label_type == "any" else label_type in ("polygon", "mask")
        return self.outline if drawn else self.box


@dataclass(frozen=True)
class ShownFrom:
    """scores: label name → least score. basis: of each. calibrated: whether the model is."""

    scores: Mapping[str, float]
    basis: Mapping[str, Basis] = field(default_factory=dict)
    calibrated: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, for a round's figures."""
        return {
            "scores": dict(self.scores),
            "basis": dict(self.basis),
            "calibrated": self.calibrated,
        }


def shown_from(
    maps: ScoreMaps | None,
    labels: Mapping[str, Label],
    *,
    task: str,
    settings: RoundSettings,
    seconds: DrawingSeconds,
    corrections: Sequence[Correction] = (),
    chosen: Mapping[str, float] = MappingProxyType({}),
) -> ShownFrom:
    """Return from which score the objects of each label are put before people.

    maps: the model's calibration, None where it has none. labels: the label of each class that
    has one, by class name. task: of the model. corrections: of proposals whose scores were
    calibrated. chosen: by a person on the page, by label. That goes before all
    others; then what the settings say; then ENOUGH corrections of a label; then the calibration; a
    model without one shows its objects from a fixed score.
    """
    scores: dict[str, float] = {}
    basis: dict[str, Basis] = {}
    for name, label in labels.items():
        if label.name in chosen:
            scores[label.name], basis[label.name] = chosen[label.name], "chosen"
            continue
        fixed = settings.min_scores.get(label.name, settings.min_score)
        if fixed is not None:
            scores[label.name], basis[label.name] = fixed, "configuration"
            continue
        if maps is None:
            scores[label.name], basis[label.name] = UNCALIBRATED, "uncalibrated"
            continue
        each, mended = seconds.of(label.type, task), fixed_share(maps.of(name))
        past = correction_history(corrections, label.name)
        if len(past) >= ENOUGH:
            worth, basis[label.name] = _worth_from(each, past, mended), "corrections"
        else:
            worth, basis[label.name] = each.worth_from(mended), "calibration"
        scores[label.name] = round(worth, 3)
    return ShownFrom(scores, basis, maps is not None)


def sentences(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what ShownFrom.to_json holds, a sentence for each reason there is."""
    told = []
    for basis, why in _WHY.items():
        names = sorted(name for name, value in figures["basis"].items() if value == basis)
        if names:
            each = [f"{name} from {figures['scores'][name]:.2f}" for name in names]
            told.append(f"{', '.join(each)}: {why}.")
    return tuple(told)


def _worth_from(seconds: ShapeSeconds, past: CorrectionHistory, expected: float) -> float:
    mended = past.mended_share(expected)
    saved = np.array([seconds.saved(float(p), mended) for p in past.chance(_GRID)])
    worth = np.flatnonzero((saved >= 0) & (_GRID >= LEAST))
    return float(_GRID[worth[0]]) if len(worth) else 1.0
