"""The promotion gate: decides whether the challenger replaces the champion.

The challenger must win: on the same holdout frames, by a sufficient and significant gain, with no
class much worse, and on frames that it was not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from trainer.calibration import calibration
from trainer.data.dataset import Dataset
from trainer.data.leakage import Leakage
from trainer.evaluation.bootstrap import interval, metric_of, resampled_gains, units_of
from trainer.evaluation.comparable import check_comparable
from trainer.gate.gate_settings import GateSettings
from trainer.gate.usefulness import Usefulness, usefulness
from trainer.scores import Evaluation

__all__ = ["GateDecision", "GateSettings", "decide", "groups_of"]


@dataclass(frozen=True)
class GateDecision:
    """The gate's decision.

    reasons: sentences for a manager, the deciding one first. figures: the underlying numbers, as
    JSON values: metric, frames, objects, challenger, and with a champion also champion, gain,
    gain_low and gain_high (the interval; gain_low is the one-sided bound at the confidence),
    probability_better, classes. calibration: of champion and challenger, see trainer.calibration.
    leakage: see trainer.data.leakage, or None if not checked.
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
    leakage: Leakage | None = None,
) -> GateDecision:
    """Decide whether the challenger is promoted.

    champion: None when nothing serves yet. Both are evaluations of the same split of the same
    dataset. groups: file name → video or scene; frames of a group are resampled together, since
    they are not independent. leakage: of the split into the training data; None is recorded as not
    checked. Raises ComparisonError naming every difference between the two.
    """
    settings = settings or GateSettings()
    figures: dict[str, Any] = {
        "metric": settings.metric,
        "settings": asdict(settings),
        "frames": len(challenger.frames),
        "objects": challenger.objects,
        "challenger": metric_of(challenger.overall, settings.metric),
        "calibration": {"champion": None, "challenger": calibration(challenger).to_json()},
        "leakage": None if leakage is None else leakage.to_json(),
    }
    if champion is not None:
        check_comparable(champion, challenger)
        figures["champion"] = metric_of(champion.overall, settings.metric)
        figures["calibration"]["champion"] = calibration(champion).to_json()
    if figures["challenger"] is None:
        reason = f"The {challenger.split} has no object, so no model can be evaluated on it."
        return GateDecision(promoted=False, reasons=(reason,), figures=figures)
    if leakage is not None and leakage.share > settings.max_leak_share:
        reason = f"The {challenger.split} cannot be used for the decision: {leakage.notes[0]}"
        return GateDecision(promoted=False, reasons=(reason,), figures=figures)
    decision = (
        _first(challenger, settings, figures, rng=rng, groups=groups or {})
        if champion is None
        else _compare(champion, challenger, settings, figures, rng=rng, groups=groups or {})
    )
    warnings = (
        *(() if leakage is None else leakage.notes),
        *_scores(champion, challenger, settings),
    )
    return replace(decision, reasons=(*decision.reasons, *warnings))


def groups_of(dataset: Dataset, split: str) -> dict[str, str]:
    """Return file name → group of the frames of a split that have one."""
    return {i.file_name: i.group for i in dataset.split(split) if i.group is not None}


def _scores(
    champion: Evaluation | None, challenger: Evaluation, settings: GateSettings
) -> tuple[str, ...]:
    """Return a warning when the scores that people see are poorly calibrated."""
    found = calibration(challenger)
    if found.error is None or found.error <= settings.max_calibration_error:
        return ()
    before = "" if champion is None else f"; the champion's: {calibration(champion).note}"
    warning = "The challenger's scores are poorly calibrated. "
    warning += f"Expected calibration error: {found.note}{before}"
    return (f"{warning}; above {settings.max_calibration_error:.3f} people are warned.",)


def _first(
    challenger: Evaluation,
    settings: GateSettings,
    figures: dict[str, Any],
    *,
    rng: np.random.Generator,
    groups: Mapping[str, str],
) -> GateDecision:
    """Decide whether the first model is useful, as a whole or for some of its classes."""
    found = usefulness(challenger, settings, rng=rng, groups=groups)
    figures["usefulness"] = found.to_json()
    if settings.min_first_metric is not None:
        promoted = figures["challenger"] >= settings.min_first_metric
        said = (
            f"{settings.metric.upper()} is {figures['challenger']:.3f} on {_holdout(challenger)}; "
            f"the first model must reach {settings.min_first_metric:.3f}"
        )
    else:
        promoted, said = _useful(found, challenger, settings)
    verdict = (
        f"Promoted as the first model: {said}."
        if promoted
        else f"Nothing serves yet, and this model is too weak to serve: {said}."
    )
    notes = [verdict, *challenger.notes]
    if len(challenger.frames) < settings.min_frames:
        notes.append(
            f"The estimate is imprecise: {len(challenger.frames)} frames, "
            f"and {settings.min_frames} are needed to compare models."
        )
    return GateDecision(promoted=promoted, reasons=tuple(notes), figures=figures)


def _useful(found: Usefulness, challenger: Evaluation, settings: GateSettings) -> tuple[bool, str]:
    whole, good = found.whole, found.useful_classes(settings)
    said = (
        f"AP50 is {whole.ap50 or 0:.3f} on {_holdout(challenger)}, with "
        f"{settings.useful_confidence:.0%} confidence above {whole.low:.3f}; "
        f"{settings.useful_ap50:.3f} and {settings.useful_low:.3f} are needed"
    )
    if whole.objects < settings.useful_objects:
        said = f"{said}, on {settings.useful_objects} objects or more"
    if whole.use(settings) == "useful":
        return True, said
    if good:
        each = ", ".join(f"{name} (AP50 {found.classes[name].ap50:.3f})" for name in good)
        return True, f"{each} is good enough by itself. Over all classes {said}"
    return False, said


def _compare(
    champion: Evaluation,
    challenger: Evaluation,
    settings: GateSettings,
    figures: dict[str, Any],
    *,
    rng: np.random.Generator,
    groups: Mapping[str, str],
) -> GateDecision:
    name = settings.metric.upper()
    before, after = figures["champion"], figures["challenger"]
    gain = after - before
    figures["gain"] = gain
    figures["classes"] = _classes(champion, challenger, settings)
    moved = f"{name} goes from {before:.3f} to {after:.3f} ({gain:+.3f}) on {_holdout(challenger)}"
    if len(challenger.frames) < settings.min_frames:
        reason = (
            f"The champion stays: {len(challenger.frames)} holdout frames are too few to compare "
            f"two models, {settings.min_frames} are needed. {moved}."
        )
        return GateDecision(promoted=False, reasons=(reason,), figures=figures)

    gains = resampled_gains(
        champion,
        challenger,
        metric=settings.metric,
        resamples=settings.resamples,
        rng=rng,
        groups=groups,
    )
    low, high = interval(gains, settings.confidence, units=units_of(challenger, groups))
    figures |= {
        "gain_low": low,
        "gain_high": high,
        "probability_better": float(np.mean(gains > 0)),
    }
    sure = f"with {settings.confidence:.0%} confidence the gain is above {low:+.3f}"
    against = []
    if gain <= 0 or gain < settings.min_gain:
        asked = f"at least {settings.min_gain:+.3f}" if settings.min_gain else "a gain"
        against.append(f"The gain is too small: {moved}; {asked} is required.")
    elif low <= 0:
        against.append(
            f"The gain may be due to chance: {moved}, but {sure}, which is not above zero. "
            "More holdout frames would decide it."
        )
    against += [
        f"Class {c} falls from {row['champion']:.3f} to {row['challenger']:.3f}, more than the "
        f"{settings.max_class_drop:.3f} allowed ({row['objects']} objects)."
        for c, row in figures["classes"].items()
        if row["judged"] and row["champion"] - row["challenger"] > settings.max_class_drop
    ]
    unjudged = [
        f"Class {c} does not count: it has {row['objects']} objects in the {challenger.split}, "
        f"{settings.min_class_objects} are needed."
        for c, row in figures["classes"].items()
        if not row["judged"]
    ]
    verdict = (
        [f"The champion stays. {against[0]}", *against[1:]]
        if against
        else [f"Promoted: {moved}; {sure}."]
    )
    return GateDecision(promoted=not against, reasons=(*verdict, *unjudged), figures=figures)


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


def _holdout(evaluation: Evaluation) -> str:
    objects = sum(evaluation.objects.values())
    return f"{len(evaluation.frames)} {evaluation.split} frames with {objects} objects"
