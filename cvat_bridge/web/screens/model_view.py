"""At which model, source and confidence a person looks: the part of an address that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from cvat_bridge.blindspots.queries import recorded_models
from cvat_bridge.blindspots.types import RecordedModel
from cvat_bridge.evaluations.evaluated_frames import Source
from cvat_bridge.web.page import RefusedError
from cvat_bridge.web.screens.now import serving
from cvat_bridge.web.sites import Site

SOURCES: tuple[tuple[Source, str, str], ...] = (
    ("holdout", "Holdout", "Frames set aside to judge models: few, but fair."),
    ("control", "Random control arm", "Frames drawn at random from the pool: few, but fair."),
    (
        "corrected",
        "All corrected pre-annotations",
        (
            "All frames that people corrected: many, but chosen for being hard, so the figures are "
            "lower than those of a fair sample."
        ),
    ),
)


@dataclass(frozen=True)
class ModelView:
    """What is looked at. recorded: of this model and source, None where nothing is recorded.

    others: everything that could be looked at. threshold: the score from which answers count.
    """

    model: str
    source: Source
    threshold: float | None
    recorded: RecordedModel | None
    others: tuple[RecordedModel, ...]
    serves: str | None
    learnt_in: Mapping[str, int]  # round by model

    def address(self) -> dict[str, object]:
        """Return the part of an address that comes back to this view."""
        return {"model": self.model, "source": self.source, "threshold": self.threshold}

    @property
    def models(self) -> tuple[RecordedModel, ...]:
        """One row for each model, the newest first."""
        return tuple({row.model: row for row in reversed(self.others)}.values())[::-1]


def model_view(site: Site, model: str, source: str, threshold: float | None) -> ModelView:
    """Fill in what an address leaves out: the serving model, the fairest source with a record.

    Raises RefusedError for a source that there is not or a threshold outside 0..1, LedgerError.
    """
    if source not in ("", *get_args(Source)):
        raise RefusedError(
            404, f"There is no source {source!r}; there are holdout, control and corrected."
        )
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise RefusedError(422, "A confidence lies between 0 and 1.")
    known = recorded_models(site.parts.ledger)
    serves = serving(site).version
    chosen = model or _model(known, serves)
    of_model = [row for row in known if row.model == chosen]
    order = [name for name, _, _ in SOURCES]
    best = min((row.source for row in of_model), key=order.index, default="holdout")
    source_shown: Source = source or best  # type: ignore[assignment]  # checked above
    found = next((row for row in of_model if row.source == source_shown), None)
    learnt = {row.challenger: row.round for row in reversed(site.parts.ledger.decisions())}
    return ModelView(chosen, source_shown, threshold, found, known, serves, learnt)


def _model(known: Sequence[RecordedModel], serves: str | None) -> str:
    """Return the serving model where it is recorded, else the newest that is."""
    if serves and any(row.model == serves for row in known):
        return serves
    return known[0].model if known else (serves or "")
