"""The threshold of each class that costs people least, beside the one in use."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.config import Config
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import ThresholdChoice
from cvat_bridge.ledger.records import Correction
from cvat_bridge.thresholds.choices import chosen_thresholds
from cvat_bridge.thresholds.correction_history import ENOUGH
from cvat_bridge.thresholds.least_cost import saved_by_score, saved_seconds
from cvat_bridge.thresholds.round_thresholds import SHOWN_FROM, comparable, seconds_of


@dataclass(frozen=True)
class ProposedThreshold:
    """A class with its threshold.

    now: from which it is shown, None where nothing was shown yet. score: the one proposed, None
    with fewer than ENOUGH corrections. proposals: corrected ones of this class. saves: seconds in
    100 frames against the one in use, None where that cannot be said. chosen: by a person.
    sentence: all of it, in words. curve: (score, seconds that showing saves) points.
    """

    label: str
    now: float | None
    score: float | None
    proposals: int
    saves: float | None
    chosen: ThresholdChoice | None
    sentence: str
    curve: tuple[tuple[float, float], ...] = ()


def proposed_thresholds(config: Config, ledger: Ledger) -> tuple[ProposedThreshold, ...]:
    """Compute the thresholds from all corrections of calibrated scores. Raises LedgerError."""
    rows = comparable(ledger)
    frames = len({(row.job_id, row.frame) for row in rows})
    types = {label.name: label.type for label in ledger.labels()}
    shown: dict[str, float] = next(
        (
            row.figures[SHOWN_FROM]["scores"]
            for row in sorted(ledger.rounds(), key=lambda one: -one.number)
            if row.figures.get(SHOWN_FROM)
        ),
        {},
    )
    chosen, seconds = chosen_thresholds(ledger), seconds_of(config)
    by_label: dict[str, list[Correction]] = {name: [] for name in sorted({*types, *shown, *chosen})}
    for row in rows:
        if row.proposed_label and row.score is not None:
            by_label.setdefault(row.proposed_label, []).append(row)
    found = []
    for label, own in by_label.items():
        choice = chosen.get(label)
        now = choice.score if choice else shown.get(label)
        if len(own) < ENOUGH:
            found.append(_too_few(label, now, len(own), choice))
            continue
        each = seconds.of(types.get(label, "rectangle"), "boxes")
        curve = saved_by_score(own, each)
        score = curve.threshold
        saves = None
        if now is not None and score > now:
            lost = [saved_seconds(r.outcome, each) for r in own if now <= (r.score or 0) < score]
            saves = max(0.0, -100 * sum(lost) / max(frames, 1))
        points = tuple(
            (round(float(a), 3), round(float(s), 2))
            for a, s in zip(curve.at, curve.saved, strict=True)
        )
        found.append(
            ProposedThreshold(
                label,
                now,
                score,
                len(own),
                saves,
                choice,
                _sentence(label, now, score, saves, len(own)),
                points,
            )
        )
    return tuple(found)


def _too_few(
    label: str, now: float | None, count: int, choice: ThresholdChoice | None
) -> ProposedThreshold:
    told = f"{label}: {count} of {ENOUGH} corrected proposals that a threshold needs."
    return ProposedThreshold(label, now, None, count, None, choice, told)


def _sentence(label: str, now: float | None, score: float, saves: float | None, count: int) -> str:
    start = f"{label}: showing it from {score:.2f} costs people least, by {count} corrections"
    if now is None:
        return f"{start}."
    if abs(now - score) < 0.01:
        return f"{start}; that is the threshold in use."
    if saves is not None and saves < 1:
        return f"{start}; against {now:.2f} that hardly matters."
    if saves is not None:
        return f"{start}; against {now:.2f} that saves about {saves:.0f} s in 100 frames."
    return (
        f"{start}; below {now:.2f}, the threshold in use, nothing was shown yet, so how much that "
        "saves shows only once it is used."
    )
