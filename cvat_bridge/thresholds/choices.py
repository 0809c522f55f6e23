"""The thresholds that people chose on the page: the last word on each label counts."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from cvat_bridge.errors import ConfigError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import ThresholdChoice

LOWEST = 0.05  # candidates below it are not kept, so that nothing could be shown
log = structlog.get_logger("thresholds")


def chosen_thresholds(ledger: Ledger) -> dict[str, ThresholdChoice]:
    """Return the choice that counts for each label; what was taken back is not in it."""
    last = {row.label: row for row in ledger.people.threshold_choices()}
    return {label: row for label, row in last.items() if row.score is not None}


def use_thresholds(
    ledger: Ledger, scores: Mapping[str, float | None], *, who: str, now: str
) -> tuple[ThresholdChoice, ...]:
    """Record a person's choice for labels; None takes one back. Choosing the same again adds none.

    The next jobs that are pre-annotated follow it, without a restart. Raises ConfigError for a
    label that the project has not, or a score outside LOWEST..1; then nothing is recorded.
    """
    known = {label.name for label in ledger.labels()} | {
        row[0] for row in ledger.people.outcomes_by("label")
    }
    faults = []
    for label, score in scores.items():
        if label not in known:
            faults.append(f"the project has no class {label!r}")
        if score is not None and not LOWEST <= score <= 1:
            faults.append(
                f"the threshold of {label!r} must lie between {LOWEST} and 1, found {score:g}: "
                "below it everything that the model ever thinks of would be shown"
            )
    if faults:
        raise ConfigError(faults)
    now_chosen = chosen_thresholds(ledger)
    last = max((row.number for row in ledger.people.threshold_choices()), default=0)
    changed = {
        label: score
        for label, score in scores.items()
        if score != (now_chosen[label].score if label in now_chosen else None)
    }
    rows = tuple(
        ThresholdChoice(last + place, label, score, who, now)
        for place, (label, score) in enumerate(changed.items(), 1)
    )
    ledger.people.save_threshold_choices(rows)
    for row in rows:
        log.info("threshold chosen", label=row.label, score=row.score, by=who)
    return rows
