"""Engines run a bundle without torch: name in card.engine → the function that loads it.

An engine is `load(bundle, *, threads) -> Detector`, or `-> Interactor` where the bundle's task is
"interactor"; it is imported on first use. It reads the weights and card.extra, and decodes with
numpy. Where the card holds a calibration, `load` is the one place that applies it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from trainer.bundle import Bundle
from trainer.calibration.score_map import maps_of_bundle
from trainer.calibration.serving import CalibratedDetector
from trainer.detector import Detector
from trainer.errors import BundleError
from trainer.interactor import Interactor

ENGINES: dict[str, str] = {
    "centernet": "trainer.engines.centernet:load",
    "extreme_points": "trainer.engines.extreme_points:load",
    "sam": "trainer.backends.sam.engine:load",
    "generic_onnx": "trainer.engines.generic_onnx:load",
    "libreyolo": "trainer.engines.libreyolo:load",
    "mask_rcnn": "trainer.engines.torchvision_detection:load",
    "semantic": "trainer.engines.semantic:load",
    "torchvision_detection": "trainer.engines.torchvision_detection:load",
    "yolo": "trainer.engines.yolo:load",
}


def load(bundle: Bundle, *, threads: int | None = None) -> Detector:
    """Load a bundle with the engine its card names; its scores are calibrated where it can be.

    threads: of one call, None for the runtime's own choice. Raises BundleError for an engine
    that is not in ENGINES, weights that the engine cannot read, a calibration that cannot be
    used, and an interactor's bundle.
    """
    if bundle.card.task == "interactor":
        raise BundleError(bundle.path, "a detector's bundle", "an interactor's")
    detector, maps = cast("Detector", _load(bundle, threads)), maps_of_bundle(bundle)
    return detector if maps is None else CalibratedDetector(detector, maps)


def load_interactor(bundle: Bundle, *, threads: int | None = None) -> Interactor:
    """Load a bundle whose task is "interactor"; errors as for load."""
    if bundle.card.task != "interactor":
        raise BundleError(bundle.path, "an interactor's bundle", f"one for {bundle.card.task}")
    return cast("Interactor", _load(bundle, threads))


def _load(bundle: Bundle, threads: int | None) -> object:
    target = ENGINES.get(bundle.card.engine)
    if target is None:
        raise BundleError(bundle.path, f"an engine of {', '.join(ENGINES)}", bundle.card.engine)
    module, _, attribute = target.partition(":")
    loader = cast("Callable[..., object]", getattr(importlib.import_module(module), attribute))
    return loader(bundle, threads=threads)
