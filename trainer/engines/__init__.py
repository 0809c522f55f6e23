"""Engines run a bundle without torch: name in card.engine → the function that loads it.

An engine is `load(bundle, *, threads) -> Detector`, or `-> Interactor` where the bundle's task is
"interactor"; it is imported on first use. Another package adds one through an entry point of the
group cvat_active_learning.engines that names such a function. It reads the weights and card.extra,
and decodes with numpy. An engine that needs torch is part of a backend, and trainer/__init__.py
adds it to this table. If the card contains a calibration, `load` is the only place that applies it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from trainer.bundles.bundle import Bundle
from trainer.calibration.score_map import maps_of_bundle
from trainer.calibration.serving import CalibratedDetector
from trainer.detector import Detector
from trainer.errors import BundleError, ConfigError
from trainer.extensions import ENGINES_GROUP, all_names, extension
from trainer.interactor import Interactor

ENGINES: dict[str, str] = {
    "centernet": "trainer.engines.centernet:load",
    "extreme_points": "trainer.engines.interactor.extreme_points:load",
    "generic_onnx": "trainer.engines.generic_onnx:load",
    "libreyolo": "trainer.engines.libreyolo:load",
    "mask_rcnn": "trainer.engines.torchvision_detection:load",
    "semantic": "trainer.engines.semantic:load",
    "torchvision_detection": "trainer.engines.torchvision_detection:load",
    "yolo": "trainer.engines.yolo:load",
}
GROUP = ENGINES_GROUP


def names() -> tuple[str, ...]:
    """Return the names of all engines, built-in and from other packages, sorted."""
    return all_names(GROUP, ENGINES)


def load(bundle: Bundle, *, threads: int | None = None) -> Detector:
    """Load a bundle with the engine that its card names, with its calibration, if any.

    threads: per call, None for the runtime's default. Raises BundleError for an unknown engine or
    one that cannot be imported, weights that the engine cannot read, an invalid calibration, and an
    interactor's bundle.
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
    name = bundle.card.engine
    try:
        foreign = extension(GROUP, name, own=ENGINES)
    except ConfigError as error:
        raise BundleError(bundle.path, "an engine that can be loaded", str(error)) from error
    target = ENGINES.get(name)
    if target is None:
        if foreign is None:
            raise BundleError(bundle.path, f"an engine of {', '.join(names())}", name)
        return cast("Callable[..., object]", foreign)(bundle, threads=threads)
    module, _, attribute = target.partition(":")
    loader = cast("Callable[..., object]", getattr(importlib.import_module(module), attribute))
    return loader(bundle, threads=threads)
