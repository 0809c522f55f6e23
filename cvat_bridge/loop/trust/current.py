"""How far the project's model is trusted now, and why: read from the records of the rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvat_bridge.config import Config
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.trust.evidence import curve_of, examples, has_gpu, object_size
from cvat_bridge.loop.trust.explanation import Situation
from cvat_bridge.loop.trust.levels import ModelTrust, last_judged, trust_of, was_gated
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset
from trainer.registry.registry import Registry


def trust_now(
    ledger: Ledger, registry: Registry, key: str, config: Config, champion: str | None
) -> ModelTrust:
    """Return how far the model is trusted that serves (champion) or, with None, was learnt last.

    A challenger that the registry no longer has informs nobody. Raises RegistryError, LedgerError.
    """
    decisions = ledger.decisions()
    trust = trust_of(
        champion,
        last_judged(decisions, champion),
        config.promotion,
        by_class=config.pre_annotation.by_class,
        gated=was_gated(decisions, champion),
    )
    if trust.level == "informs" and trust.model not in {v.bundle for v in registry.versions(key)}:
        return ModelTrust("none", None)
    return trust


def situation(
    ledger: Ledger,
    config: Config,
    trust: ModelTrust,
    *,
    number: int,
    dataset: str | None,
    bundle: str | None,
    challenger: dict[str, Any] | None,
    reason: str,
) -> Situation:
    """Gather what explains the trust after the decision of round `number`.

    dataset: folder of the snapshot, or None. bundle: folder of what was learnt now, or None.
    challenger: its figures, or None when it was not judged. reason: why nothing was learnt or
    judged, else "". Raises BundleError, DatasetError, LedgerError.
    """
    settings, trainer = config.promotion, config.trainer
    judged = last_judged(ledger.decisions(), trust.model if trust.level == "serves" else None)
    past = [row for row in ledger.rounds() if row.number < number]
    now = next((row for row in ledger.rounds() if row.number == number), None)
    curve = curve_of(past)
    if challenger and challenger.get("ap50") is not None and now and now.figures.get("train"):
        curve = (*curve, (int(now.figures["train"]), float(challenger["ap50"])))
    data = load_dataset(Path(dataset)) if dataset and trust.level != "serves" else None
    size = None
    if data is not None and bundle:
        card = read_bundle(Path(bundle), verify=False).card
        size = object_size(data.split("train"), card.input_size)
    return Situation(
        trust,
        settings,
        reason=reason,
        found=judged[1] if judged else None,
        size=size,
        examples=examples(data) if data is not None else {},
        curve=curve,
        backend=trainer.backend,
        device=trainer.device,
        gpu=has_gpu(),
        random_share=config.active_learning.weak_share,
    )
