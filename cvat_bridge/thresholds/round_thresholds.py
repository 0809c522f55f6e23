"""The thresholds of a round's pre-annotations, from the champion's card and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Label
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Correction
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.detected import match_labels
from cvat_bridge.thresholds.choices import chosen_thresholds
from cvat_bridge.thresholds.rule import DrawingSeconds, ShownFrom, shown_from
from trainer.bundles.bundle import Bundle
from trainer.calibration.score_map import maps_of_bundle
from trainer.calibration.worth import ShapeSeconds

SHOWN_FROM = "shown_from"  # the key in a round's figures


def round_thresholds(
    ledger: Ledger,
    bundle: Bundle,
    labels: tuple[Label, ...],
    label_ids: Mapping[str, int],
    *,
    withheld: Mapping[str, str] = MappingProxyType({}),
    config: Config,
    settings: RoundSettings,
) -> ShownFrom:
    """Return from which score a model's objects go before people in the next jobs.

    labels: of the project. label_ids: see `match_labels`. withheld: classes that are not put before
    people at all. Raises BundleError for a calibration
    that cannot be used, LedgerError.
    """
    classes = bundle.card.labels
    matching = match_labels(tuple(classes), labels, label_ids).without(withheld, tuple(classes))
    return shown_from(
        maps_of_bundle(bundle),
        {classes.name_of(number): label for number, label in matching.label_of.items()},
        task=bundle.card.task,
        settings=settings,
        seconds=seconds_of(config),
        corrections=comparable(ledger),
        chosen={label: row.score for label, row in chosen_thresholds(ledger).items() if row.score},
    )


def seconds_of(config: Config) -> DrawingSeconds:
    """Return the seconds that the configuration states."""
    cost, outline = config.active_learning.cost, config.pre_annotation.outline
    return DrawingSeconds(
        ShapeSeconds(draw=cost.add, verify=cost.verify, fix=cost.fix, delete=cost.delete),
        outline,
    )


def comparable(ledger: Ledger) -> tuple[Correction, ...]:
    """Return the corrections of proposals with calibrated scores: others are not comparable."""
    known = {
        row.number
        for row in ledger.rounds()
        if (row.figures.get(SHOWN_FROM) or {}).get("calibrated")
    }
    return tuple(row for row in ledger.corrections() if row.round in known)
