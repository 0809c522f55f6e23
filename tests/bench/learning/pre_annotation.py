"""A person's seconds with a model's pre-annotations over those without, on frames with truth.

Boxes take what a project that has measured nothing is taken to need (trainer.calibration.worth).
1 is no help; a set of thresholds that follows the expected seconds should never be above it.
"""

from __future__ import annotations

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.settings import RoundSettings
from cvat_bridge.thresholds.expected_time import expected_seconds
from cvat_bridge.thresholds.rule import DrawingSeconds, shown_from
from trainer.bundles.bundle import Bundle
from trainer.calibration.score_map import maps_of_bundle
from trainer.calibration.worth import BOX_SECONDS, OUTLINE_SECONDS
from trainer.data.dataset import Dataset
from trainer.engines import load
from trainer.evaluation.evaluate import evaluate


def pre_annotation_seconds(
    bundle: Bundle, dataset: Dataset, split: str, *, min_score: float | None = None
) -> float:
    """Return the seconds with a first round's pre-annotations over those without.

    A model of boxes fills rectangles, one of masks outlines. min_score: a fixed threshold in the
    place of the rule, to compare with.
    """
    masks = bundle.card.task == "masks"
    labels = {
        name: Label(n, name, "mask" if masks else "rectangle", ())
        for n, name in enumerate(bundle.card.labels)
    }
    seconds = DrawingSeconds(BOX_SECONDS, OUTLINE_SECONDS)
    shown = shown_from(
        maps_of_bundle(bundle),
        labels,
        task=bundle.card.task,
        settings=RoundSettings(min_score=min_score),
        seconds=seconds,
    )
    found = evaluate(load(bundle), dataset, split=split, task="masks" if masks else "boxes")
    each = OUTLINE_SECONDS if masks else BOX_SECONDS
    with_proposals, without = expected_seconds(
        found.frames, found.labels, shown.scores, dict.fromkeys(found.labels, each)
    )
    return with_proposals / without if without else 1.0
