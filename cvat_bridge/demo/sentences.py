"""What the figures say, in sentences for people who manage annotation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def decision_sentence(learnt: Row) -> str:
    """Tell in one sentence what the gate decided and why.

    learnt: the figures of a round, as `cvat-bridge status` gives them: promoted, reasons,
    explanation (where nothing serves), champion and challenger (ap, ap50, or None), gate (see
    trainer.gate.promote.Decision.figures).
    """
    challenger, champion = learnt["challenger"], learnt["champion"]
    gate: Row = learnt.get("gate") or {}
    metric = str(gate.get("metric", "ap"))
    first_reason = str(learnt["reasons"][0]) if learnt["reasons"] else "no reason was recorded"
    if challenger is None or challenger.get(metric) is None:
        return f"No new model was judged: {first_reason.rstrip('.')}."
    after, frames = challenger[metric], gate.get("frames", 0)
    where = f"on the {frames} held-out frames, which are never learnt from"
    if champion is None:
        return _about_the_first(learnt, after, where, metric)
    moved = f"{metric.upper()} {champion[metric]:.2f} before, {after:.2f} now, {where}"
    if learnt["promoted"]:
        return (
            f"The new model is better ({moved}), by more than chance explains, so it serves in "
            "CVAT from now on."
        )
    stays = "so the model that serves stays"
    if after <= champion[metric] or gate.get("gain", 0) < _setting(gate, "min_gain"):
        return f"The new model is not better ({moved}), {stays}."
    if gate.get("gain_low") is not None and gate["gain_low"] <= 0:
        return f"The new model looks better ({moved}), but that may be chance, {stays}."
    worse = [
        f"{name} ({row['champion']:.2f} before, {row['challenger']:.2f} now)"
        for name, row in (gate.get("classes") or {}).items()
        if row["judged"] and row["champion"] - row["challenger"] > _setting(gate, "max_class_drop")
    ]
    if worse:
        return (
            f"The new model is better on the whole ({moved}), but it got worse at "
            f"{' and '.join(worse)}, {stays}."
        )
    return f"The model that serves stays: {first_reason.rstrip('.')}."


def _about_the_first(learnt: Row, after: float, where: str, metric: str) -> str:
    if learnt["promoted"]:
        return (
            f"This is the first model that is good enough ({metric.upper()} {after:.2f} {where}), "
            "so it serves in CVAT."
        )
    # The loop's own words say which figure was asked for, and what would help.
    return str((learnt.get("explanation") or learnt["reasons"])[0])


def _setting(gate: Row, name: str) -> float:
    return float((gate.get("settings") or {}).get(name, 0.0))


def frames_to_reach(points: Sequence[tuple[int, float]], goal: float) -> float | None:
    """Return the labelled frames at which a curve first reaches goal, between points on a line.

    points: labelled frames and AP, in the order of the rounds. None where it never does.
    """
    before: tuple[int, float] | None = None
    for frames, ap in points:
        if ap >= goal:
            if before is None or ap == before[1]:
                return float(frames)
            share = (goal - before[1]) / (ap - before[1])
            return before[0] + share * (frames - before[0])
        before = (frames, ap)
    return None


def against_chance(
    curve: Sequence[tuple[int, float]], by_lot: Sequence[tuple[int, float]], *, runs: int = 1
) -> str:
    """Compare the last models of both arms in a sentence; "" where one of them has none.

    runs: of how many the curves are the mean.
    """
    if not curve or not by_lot:
        return ""
    ours, theirs = curve[-1][1], by_lot[-1][1]
    frames = by_lot[-1][0]
    where = "In this run" if runs == 1 else f"In the mean of {runs} runs"
    if f"{ours:.2f}" == f"{theirs:.2f}":
        return f"{where} the loop and choosing at random end equally high, at AP {ours:.2f}."
    if ours < theirs:
        return (
            f"{where} choosing at random ended higher: AP {theirs:.2f} against {ours:.2f} of "
            "the loop."
        )
    needed = frames_to_reach(curve, theirs)
    if needed is None or needed >= frames:
        return f"{where} the loop ends at AP {ours:.2f}, choosing at random at {theirs:.2f}."
    return (
        f"{where} the loop ends at AP {ours:.2f}. It reaches what choosing at random reaches with "
        f"{frames} frames (AP {theirs:.2f}) at about {needed:.0f} frames."
    )


def duration(seconds: float) -> str:
    """Return a time as people say it: 45 seconds, 12 minutes, 1.4 hours."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
