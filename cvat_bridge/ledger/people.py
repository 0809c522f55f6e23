"""The tables of what people's work showed and what they decided on the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from cvat_bridge.database import project_tables
from cvat_bridge.database.engine import Database
from cvat_bridge.ledger.page_records import AssetGroup, JobEffort, Review, ThresholdChoice
from cvat_bridge.ledger.tables import Records

_ROWS = project_tables.corrections.c
_OF_CORRECTIONS: dict[str, ColumnElement[Any]] = {
    "label": case((_ROWS.proposed_label == "", _ROWS.final_label), else_=_ROWS.proposed_label),
    # A ladder: databases round and cast in ways of their own.
    "band": case(
        (_ROWS.score.is_(None), None),
        *((_ROWS.score >= tenth / 10, tenth) for tenth in range(9, 0, -1)),
        else_=0,
    ),
}


class PeopleRecords:
    """What the screens Savings, Likely mistakes and Groups keep. Raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._efforts = Records(database, project_tables.job_efforts, JobEffort)
        self._choices = Records(database, project_tables.threshold_choices, ThresholdChoice)
        self._reviews = Records(database, project_tables.reviews, Review)
        self._groups = Records(
            database, project_tables.asset_groups, AssetGroup, lists=["frames", "images"]
        )

    def save_efforts(self, rows: Iterable[JobEffort]) -> None:
        """Record what finished jobs took, over what was known of them."""
        self._efforts.put(rows)

    def efforts(self) -> tuple[JobEffort, ...]:
        """Return what finished jobs took, by job id."""
        return self._efforts.rows(order=["job_id"])

    def save_threshold_choices(self, rows: Iterable[ThresholdChoice]) -> None:
        """Record choices of people."""
        self._choices.put(rows)

    def threshold_choices(self) -> tuple[ThresholdChoice, ...]:
        """Return every choice ever made, oldest first."""
        return self._choices.rows(order=["number"])

    def save_reviews(self, rows: Iterable[Review]) -> None:
        """Record labels that are sent to review, and what came of them."""
        self._reviews.put(rows)

    def reviews(self) -> tuple[Review, ...]:
        """Return every label that was sent to review, oldest first."""
        return self._reviews.rows(order=["sent", "key"])

    def save_group(self, row: AssetGroup) -> None:
        """Record a version of a group of assets."""
        self._groups.put([row])

    def groups(self) -> tuple[AssetGroup, ...]:
        """Return every version of every group, by name and version."""
        return self._groups.rows(order=["name", "version"])

    def corrections_mark(self) -> tuple[tuple[Any, ...], ...]:
        """Return what differs when what people did to pre-annotations does; quick to compute."""
        sums = (func.sum(_ROWS.score), func.sum(_ROWS.job_id), func.sum(_ROWS.place))
        query = select(_ROWS.outcome, func.count(), *sums).group_by(_ROWS.outcome)
        return tuple(tuple(row) for row in self._database.read(query.order_by(_ROWS.outcome)))

    def outcomes_by(self, *columns: str) -> list[tuple[Any, ...]]:
        """Count what people did to pre-annotations by columns of a correction and by outcome.

        columns: fields of Correction, "label" (proposed, or drawn) or "band" (tenth of the score,
        None for what people added). Each row: the columns' values, the outcome, the count.
        """
        named = [
            (_OF_CORRECTIONS[name] if name in _OF_CORRECTIONS else _ROWS[name]).label(f"by_{name}")
            for name in (*columns, "outcome")
        ]
        query = select(*named, func.count()).group_by(*named).order_by(*named)
        return [tuple(row) for row in self._database.read(query)]
