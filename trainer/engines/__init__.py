"""Engines run a bundle without torch: name in card.engine → the function that loads it.

An engine is `load(bundle, *, threads) -> Detector`; it is imported on first use. It reads the
weights and card.extra, decodes with numpy, and keeps no state between calls.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from trainer.bundle import Bundle
from trainer.detector import Detector
from trainer.errors import BundleError

ENGINES: dict[str, str] = {
    "centernet": "trainer.engines.centernet:load",
    "yolo": "trainer.engines.yolo:load",
}


def load(bundle: Bundle, *, threads: int | None = None) -> Detector:
    """Load a bundle with the engine its card names.

    threads: of one call, None for the runtime's own choice. Raises BundleError for an engine
    that is not in ENGINES or weights that the engine cannot read.
    """
    target = ENGINES.get(bundle.card.engine)
    if target is None:
        raise BundleError(bundle.path, f"an engine of {', '.join(ENGINES)}", bundle.card.engine)
    module, _, attribute = target.partition(":")
    loader = cast("Callable[..., Detector]", getattr(importlib.import_module(module), attribute))
    return loader(bundle, threads=threads)
