"""The gate, which says whether the challenger may take the champion's place.

It serves only if it wins: measured on the same holdout frames, better by enough, better beyond
the noise of a holdout of that size, and no class much worse. The noise is measured by a paired
bootstrap over frames: each resample draws the same frames for both models, so what makes a frame
hard for both cancels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import ComparisonError, ConfigError
from trainer.scores import Evaluation, Scores


@dataclass(frozen=True)
class GateSettings:
    """What a challenger must show.

    metric: "ap" or "ap50". min_gain: how much it must rise, 0..1. max_class_drop: how far the
    metric of any one class may fall, 0..1. min_class_objects: a class with fewer objects in the
    holdout is reported but not judged. confidence: how sure the gain must be above 0, 0.5..1.
    min_frames: a holdout with fewer frames cannot tell two models apart. min_first: what the
    first model, which has no champion to beat, must reach. resamples: of the bootstrap.
    """

    metric: str = "ap"
    min_gain: float = 0.0
    max_class_drop: float = 0.05
    min_class_objects: int = 20
    confidence: float = 0.95
    min_frames: int = 10
    min_first: float = 0.1
    resamples: int = 1000

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
            )
            if not low <= getattr(self, name) <= high
        ]
        if self.metric not in ("ap", "ap50"):
            faults.append(f"gate.metric must be ap or ap50: {self.metric!r}")
        if faults:
            raise ConfigError(faults)


@dataclass(frozen=True)
class Decision:
    """The gate's answer.

    reasons: sentences for a manager, the deciding one first. figures: what they rest on, as JSON
    values: metric, frames, objects, challenger, and with a champion also champion, gain,
    gain_low and gain_high (the interval; gain_low is the one-sided bound at the confidence),
    probability_better, classes.
    """

    promoted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def decide(
    champion: Evaluation | None,
    challenger: Evaluation,
    settings: GateSettings | None = None,
    *,
    rng: np.random.Generator,
    groups: Mapping[str, str] | None = None,
) -> Decision:
    """Judge the challenger.

    champion: None when nothing serves yet. Both are evaluations of the same part of the same
    dataset. groups: file name → video or scene; frames of a group are drawn together, since they
    are not independent. Raises ComparisonError naming every difference between the two.
    """
    settings = settings or GateSettings()
    figures: dict[str, Any] = {
        "metric": settings.metric,
        "settings": asdict(settings),
        "frames": len(challenger.frames),
        "objects": challenger.objects,
        "challenger": _metric(challenger.overall, settings),
    }
    if champion is not None:
        _check_comparable(champion, challenger)
        figures["champion"] = _metric(champion.overall, settings)
    if figures["challenger"] is None:
        reason = f"The {challenger.split} has no object, so no model can be judged on it."
        return Decision(promoted=False, reasons=(reason,), figures=figures)
    if champion is None:
        return _first(challenger, settings, figures)
    return _compare(champion, challenger, settings, figures, rng=rng, groups=groups or {})


def _first(challenger: Evaluation, settings: GateSettings, figures: dict[str, Any]) -> Decision:
    reached = figures["challenger"]
    promoted = reached >= settings.min_first
    name = settings.metric.upper()
    said = (
        f"{name} is {reached:.3f} on {_holdout(challenger)}; "
        f"the first model must reach {settings.min_first:.3f}"
    )
    verdict = (
        f"Promoted as the first model: {said}."
        if promoted
        else f"Nothing serves yet, and this model is not to be trusted: {said}."
    )
    notes = [verdict, *challenger.notes]
    if len(challenger.frames) < settings.min_frames:
        notes.append(
            f"The figure is rough: {len(challenger.frames)} frames, "
            f"and {settings.min_frames} are asked to compare models."
        )
    return Decision(promoted=promoted, reasons=tuple(notes), figures=figures)


def _compare(
    champion: Evaluation,
    challenger: Evaluation,
    settings: GateSettings,
    figures: dict[str, Any],
    *,
    rng: np.random.Generator,
    groups: Mapping[str, str],
) -> Decision:
    name = settings.metric.upper()
    before, after = figures["champion"], figures["challenger"]
    gain = after - before
    figures["gain"] = gain
    figures["classes"] = _classes(champion, challenger, settings)
    moved = f"{name} goes from {before:.3f} to {after:.3f} ({gain:+.3f}) on {_holdout(challenger)}"
    if len(challenger.frames) < settings.min_frames:
        reason = (
            f"The champion stays: {len(challenger.frames)} holdout frames are too few to tell two "
            f"models apart, {settings.min_frames} are asked. {moved}."
        )
        return Decision(promoted=False, reasons=(reason,), figures=figures)

    gains = _resampled_gains(champion, challenger, settings, rng=rng, groups=groups)
    low, high = _interval(gains, settings.confidence, units=_units(challenger, groups))
    figures |= {
        "gain_low": low,
        "gain_high": high,
        "probability_better": float(np.mean(gains > 0)),
    }
    sure = f"with {settings.confidence:.0%} confidence the gain is above {low:+.3f}"
    against = []
    if gain <= 0 or gain < settings.min_gain:
        asked = f"at least {settings.min_gain:+.3f}" if settings.min_gain else "a rise"
        against.append(f"The gain is too small: {moved}; {asked} is asked.")
    elif low <= 0:
        against.append(
            f"The gain may be chance: {moved}, but {sure}, which is not above zero. "
            "More holdout frames would tell."
        )
    against += [
        f"Class {c} falls from {row['champion']:.3f} to {row['challenger']:.3f}, more than the "
        f"{settings.max_class_drop:.3f} allowed ({row['objects']} objects)."
        for c, row in figures["classes"].items()
        if row["judged"] and row["champion"] - row["challenger"] > settings.max_class_drop
    ]
    unjudged = [
        f"Class {c} is not judged: it has {row['objects']} objects in the {challenger.split}, "
        f"{settings.min_class_objects} are asked."
        for c, row in figures["classes"].items()
        if not row["judged"]
    ]
    verdict = (
        [f"The champion stays. {against[0]}", *against[1:]]
        if against
        else [f"Promoted: {moved}; {sure}."]
    )
    return Decision(promoted=not against, reasons=(*verdict, *unjudged), figures=figures)


def _resampled_gains(
    champion: Evaluation,
    challenger: Evaluation,
    settings: GateSettings,
    *,
    rng: np.random.Generator,
    groups: Mapping[str, str],
) -> NDArray[np.float64]:
    """Return the gain on each resample of the frames (groups drawn whole), (resamples,)."""
    names = [groups.get(f.file_name, f.file_name) for f in challenger.frames]
    _, unit = np.unique(names, return_inverse=True)
    units = int(unit.max()) + 1
    gains = np.empty(settings.resamples)
    for n in range(settings.resamples):
        counts = rng.multinomial(units, np.full(units, 1 / units))[unit]
        before = _metric(champion.scores(counts), settings)
        after = _metric(challenger.scores(counts), settings)
        # A resample without any object says nothing either way.
        gains[n] = 0.0 if before is None or after is None else after - before
    return gains


def _interval(gains: NDArray[np.float64], confidence: float, *, units: int) -> tuple[float, float]:
    """Return the bounds below and above which the gain lies with 1 - confidence each.

    The expanded percentile interval of Hesterberg, "What Teachers Should Know About the
    Bootstrap" (The American Statistician, 2015): plain percentiles are too narrow for few units.
    """
    if units < 2:
        return -math.inf, math.inf
    z, dof = NormalDist().inv_cdf(confidence), units - 1
    # Student's t by Cornish-Fisher (Abramowitz and Stegun 26.7.5).
    t = z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * dof**2)
    tail = NormalDist().cdf(-math.sqrt(units / dof) * t)
    low, high = np.quantile(gains, [tail, 1 - tail])
    return float(low), float(high)


def _units(evaluation: Evaluation, groups: Mapping[str, str]) -> int:
    return len({groups.get(f.file_name, f.file_name) for f in evaluation.frames})


def _classes(
    champion: Evaluation, challenger: Evaluation, settings: GateSettings
) -> dict[str, dict[str, Any]]:
    name = f"class_{settings.metric}"
    before, after = getattr(champion.overall, name), getattr(challenger.overall, name)
    return {
        c: {
            "champion": before[c],
            "challenger": after[c],
            "objects": count,
            "judged": count >= settings.min_class_objects,
        }
        for c, count in challenger.objects.items()
    }


def _check_comparable(champion: Evaluation, challenger: Evaluation) -> None:
    pairs = [(n, getattr(champion, n), getattr(challenger, n)) for n in ("labels", "task", "split")]
    differences = [f"{n} differ: {a} and {b}" for n, a, b in pairs if a != b]
    ours = {f.file_name: f.objects.tolist() for f in champion.frames}
    theirs = {f.file_name: f.objects.tolist() for f in challenger.frames}
    if [*ours] != [*theirs]:
        alone = sorted(set(ours) ^ set(theirs))
        differences.append(
            f"frames differ: {len(ours)} and {len(theirs)}, "
            f"{len(alone)} in one alone{': ' + ', '.join(alone[:3]) if alone else ' (the order)'}"
        )
    elif champion.dataset != challenger.dataset or ours != theirs:
        differences.append(
            f"datasets differ: {champion.dataset[:12]} and {challenger.dataset[:12]}; "
            "evaluate both on the same snapshot"
        )
    if differences:
        raise ComparisonError(differences)


def _metric(scores: Scores, settings: GateSettings) -> float | None:
    return scores.ap if settings.metric == "ap" else scores.ap50


def _holdout(evaluation: Evaluation) -> str:
    objects = sum(evaluation.objects.values())
    return f"{len(evaluation.frames)} {evaluation.split} frames with {objects} objects"
