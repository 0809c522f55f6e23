"""The rounds so far: the learning curve, what the next labels promise, what people did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from active_learning.stopping import advice, fit_curve
from cvat_bridge.ledger.records import Decision, Round

NEXT_LABELS = 200
OUTCOMES = ("kept", "nudged", "relabelled", "redrawn", "deleted")


@dataclass(frozen=True)
class CurvePoint:
    """The model learnt in a round, on so many labelled frames. promoted: whether it serves."""

    round: int
    frames: int
    ap: float
    ap50: float | None
    promoted: bool


@dataclass(frozen=True)
class Curve:
    """The learning curve. expected: AP by its fit at next_frames, None before three rounds."""

    points: tuple[CurvePoint, ...]
    next_frames: int | None
    expected: float | None
    ceiling: float | None


@dataclass(frozen=True)
class RoundCorrections:
    """What people did to the pre-annotations of a round.

    proposed = kept + nudged + relabelled + redrawn + deleted. added: objects that were missed.
    """

    round: int
    proposed: int
    kept: int
    nudged: int
    relabelled: int
    redrawn: int
    deleted: int
    added: int

    @property
    def accepted(self) -> float | None:
        """The share that stayed as it was, None where nothing was proposed."""
        return self.kept / self.proposed if self.proposed else None


def curve_of(rounds: Sequence[Round], decisions: Sequence[Decision]) -> Curve:
    """Read the curve off the rounds that learnt and judged a model."""
    promoted = {row.round for row in decisions if row.promoted}
    points = tuple(
        CurvePoint(
            row.number,
            int(row.figures["train"]),
            float(model["ap"]),
            model.get("ap50"),
            row.number in promoted,
        )
        for row in rounds
        if row.figures.get("train")
        and (model := row.figures.get("challenger") or {})
        and model.get("ap") is not None
    )
    fitted = fit_curve([(p.frames, p.ap) for p in points])
    if fitted is None:
        return Curve(points, None, None, None)
    ahead = max(p.frames for p in points) + NEXT_LABELS
    return Curve(points, ahead, min(1.0, max(0.0, fitted.at(ahead))), fitted.ceiling)


def advice_of(curve: Curve, rounds: Sequence[Round], *, stop_gain: float) -> tuple[str, ...]:
    """Return what the next labels promise and what stands in the way, in sentences."""
    lines = []
    points = [(p.frames, p.ap) for p in curve.points]
    promise = advice(points, batch=NEXT_LABELS, stop_gain=stop_gain)
    if promise:
        lines.append(promise[0].upper() + promise[1:] + ".")
    else:
        missing = 3 - len({p.frames for p in curve.points})
        lines.append(
            f"What the next labels promise is read off the learning curve, which needs {missing} "
            f"more round{'s' if missing > 1 else ''} with a judged model."
        )
    for row in reversed(rounds):
        if "explanation" in row.figures:
            lines += [str(line) for line in row.figures["explanation"]]
            break
    return tuple(lines)


def corrected_of(outcomes: Mapping[int, Mapping[str, int]]) -> tuple[RoundCorrections, ...]:
    """Put the counts of `Ledger.outcomes` into rows, oldest round first."""
    return tuple(
        RoundCorrections(
            round=number,
            proposed=sum(counts.get(name, 0) for name in OUTCOMES),
            added=counts.get("added", 0),
            **{name: counts.get(name, 0) for name in OUTCOMES},
        )
        for number, counts in sorted(outcomes.items())
    )
