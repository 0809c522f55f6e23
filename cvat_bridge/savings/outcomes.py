"""What people did to pre-annotations, by class, score, annotator and model over time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

OUTCOMES = ("kept", "nudged", "relabelled", "redrawn", "deleted")


@dataclass(frozen=True)
class CorrectionCounts:
    """Counts of one label, model or round.

    proposed = kept + nudged + relabelled + redrawn + deleted. added: objects the model missed.
    """

    proposed: int = 0
    kept: int = 0
    nudged: int = 0
    relabelled: int = 0
    redrawn: int = 0
    deleted: int = 0
    added: int = 0


@dataclass(frozen=True)
class OutcomeRow(CorrectionCounts):
    """Counts of what its name says: a class, a score band, an annotator, or a model and round."""

    name: str = ""


@dataclass(frozen=True)
class Outcomes:
    """by_class, by_annotator: most proposed first. by_score: rising. by_model: by rising round."""

    by_class: tuple[OutcomeRow, ...] = ()
    by_score: tuple[OutcomeRow, ...] = ()
    by_annotator: tuple[OutcomeRow, ...] = ()
    by_model: tuple[OutcomeRow, ...] = field(default=())


def rows_of(counts: Iterable[tuple[Any, str, int]]) -> dict[Any, OutcomeRow]:
    """Gather rows of (key, outcome, count) by key; names are the keys."""
    found: dict[Any, dict[str, int]] = {}
    for key, outcome, count in counts:
        row = found.setdefault(key, {})
        row[outcome] = row.get(outcome, 0) + count
    return {
        key: OutcomeRow(name=str(key), proposed=sum(row.get(name, 0) for name in OUTCOMES), **row)
        for key, row in found.items()
    }


def by_score(counts: Iterable[tuple[Any, str, int]]) -> tuple[OutcomeRow, ...]:
    """Gather by tenth of the score; what people added has none and is left out."""
    rows = rows_of(row for row in counts if row[0] is not None)
    return tuple(
        replace(rows[band], name=f"{band / 10:.1f} to {(band + 1) / 10:.1f}")
        for band in sorted(rows)
    )


def by_annotator(
    counts: Iterable[tuple[int, str, int]], annotators: Mapping[int, str]
) -> tuple[OutcomeRow, ...]:
    """Gather by whose job it was; counts are by job id."""
    named = ((annotators.get(job, "") or "nobody assigned", o, n) for job, o, n in counts)
    return most_first(rows_of(named))


def most_first(rows: Mapping[Any, OutcomeRow]) -> tuple[OutcomeRow, ...]:
    """Put the rows with the most objects first."""
    return tuple(sorted(rows.values(), key=lambda row: (-row.proposed - row.added, row.name)))
