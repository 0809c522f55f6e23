"""Backends learn: name in FitConfig.backend → the object that implements Backend.

Imported on first use, so that torch is loaded only by a process that trains.
"""

from __future__ import annotations

import importlib
import os
from typing import cast

from trainer.detector import Backend
from trainer.errors import ConfigError

BACKENDS: dict[str, str] = {
    "centernet": "trainer.backends.centernet:BACKEND",
    "extreme_points": "trainer.backends.extreme_points:BACKEND",
    "libreyolo": "trainer.backends.libreyolo:BACKEND",
    "semantic": "trainer.backends.semantic:BACKEND",
    "torchvision_detection": "trainer.backends.torchvision_detection:BACKEND",
    "yolo": "trainer.backends.yolo:BACKEND",
}


def backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises ConfigError for a name that is not in BACKENDS, and for one whose libraries are not
    installed, with the extra that brings them.
    """
    target = BACKENDS.get(name)
    if target is None:
        raise ConfigError([f"no backend {name!r}; there are {', '.join(BACKENDS)}"])
    # Read by OpenMP when torch is first loaded: threads that wait by spinning make a fit several
    # times slower on a machine that does anything else at the same time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    module, _, attribute = target.partition(":")
    try:
        return cast("Backend", getattr(importlib.import_module(module), attribute))
    except ModuleNotFoundError as error:
        raise ConfigError(
            [f"backend {name} needs {error.name}: pip install 'cvat-active-learning[train]'"]
        ) from error
