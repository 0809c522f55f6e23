"""The gain of a fit over its base weights, and over the same fit from scratch.

All are evaluated as exported models on the same frames; the gain's interval comes from the gate's
paired bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.bundles.bundle import CARD, Bundle, read_bundle
from trainer.data.dataset import Dataset
from trainer.detector import Backend, Progress
from trainer.engines import load
from trainer.errors import BundleError, ConfigError, TrainerError
from trainer.evaluation.bootstrap import interval, resampled_gains, units_of
from trainer.evaluation.evaluate import evaluate
from trainer.gate.promote import groups_of
from trainer.runs.run_folder import Report
from trainer.scores import Evaluation

_RESAMPLES = 300
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gain:
    """AP of the fit minus AP of the reference, 0..1; None if unknown.

    over: "base" or "scratch". low, high: bounds, each with 95 % confidence. note: why a value is
    missing, or its limitation.
    """

    over: str
    ap: float | None
    reached: float | None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Gain:
        """Read what to_json wrote."""
        return cls(**values)

    def __str__(self) -> str:
        """Return the gain as a line of text."""
        what = {"base": "the base weights", "scratch": "a fit from scratch"}[self.over]
        note = f" ({self.note})" if self.note else ""
        if self.gain is None:
            return f"gain over {what}: unknown{note}"
        between = (
            ""
            if self.low is None or self.high is None
            else f" ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        )
        moved = f"AP {self.ap:.3f} to {self.reached:.3f}"
        return f"gain over {what}: {100 * self.gain:+.1f} AP points{between}, {moved}{note}"


def over_base(
    learner: Backend,
    base: Path,
    ours: Evaluation,
    dataset: Dataset,
    *,
    folder: Path,
    report: Report,
) -> Gain:
    """Evaluate the base weights on the frames of `ours`.

    folder: for the export of a checkpoint. If the base cannot be evaluated, the gain is unknown,
    with the reason, since the fit itself succeeded.
    """
    try:
        bundle = _as_bundle(learner, base, folder)
        if bundle.card.task not in ("boxes", "masks"):
            return Gain("base", None, ours.ap, note=f"the base has task {bundle.card.task}")
        if ours.task == "masks" and bundle.card.task == "boxes":
            return Gain("base", None, ours.ap, note="the base predicts boxes, this fit masks")
        theirs = _evaluated(bundle, dataset, ours, report)
    except TrainerError as error:
        return Gain("base", None, ours.ap, note=f"the base cannot be evaluated: {error}")
    absent = [n for n in ours.labels if n not in bundle.card.labels.names]
    note = f"the base lacks {', '.join(absent)}" if absent else ""
    return gain_over("base", theirs, ours, dataset, note=note)


def over_scratch(scratch: Bundle, ours: Evaluation, dataset: Dataset, *, report: Report) -> Gain:
    """Evaluate a fit with the same settings from scratch."""
    return gain_over("scratch", _evaluated(scratch, dataset, ours, report), ours, dataset)


def check_scratch(base: Path | None) -> None:
    """Raise ConfigError when a fit has no base, and so is itself from scratch."""
    if base is None:
        raise ConfigError(["--against-scratch needs --base: without it the fit is from scratch"])


def gain_over(
    over: str, theirs: Evaluation, ours: Evaluation, dataset: Dataset, *, note: str = ""
) -> Gain:
    """Compare two evaluations of the same frames."""
    if theirs.ap is None or ours.ap is None:
        return Gain(over, theirs.ap, ours.ap, note=f"no object in {ours.split}")
    groups = groups_of(dataset, ours.split)
    gains = resampled_gains(
        theirs,
        ours,
        metric="ap",
        resamples=_RESAMPLES,
        rng=np.random.default_rng(0),
        groups=groups,
    )
    units = units_of(ours, groups)
    low, high = interval(gains, _CONFIDENCE, units=units) if units > 1 else (None, None)
    if low is None:
        note = "; ".join([*([note] if note else []), "a single frame or group gives no interval"])
    return Gain(over, theirs.ap, ours.ap, ours.ap - theirs.ap, low, high, note)


def _as_bundle(learner: Backend, base: Path, folder: Path) -> Bundle:
    if (base / CARD).exists():
        return read_bundle(base)
    if (folder / CARD).exists():
        return read_bundle(folder)
    if not base.is_file():
        raise BundleError(base, "a bundle or a checkpoint", "neither")
    return learner.export(base, folder, card={"name": base.name})


def _evaluated(bundle: Bundle, dataset: Dataset, ours: Evaluation, report: Report) -> Evaluation:
    def forward(step: Progress) -> None:
        report(Progress("evaluate the reference", step.done, step.total, step.seconds_left))

    return evaluate(load(bundle), dataset, split=ours.split, task=ours.task, report=forward)
