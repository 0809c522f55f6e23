"""Backends train models: name in FitConfig.backend → the object that implements Backend.

Imported on first use, so that torch is loaded only by a process that trains. Another package adds
one through an entry point of the group cvat_active_learning.backends that names such an object.
"""

from __future__ import annotations

import importlib
import os
from typing import cast

from trainer.detector import Backend
from trainer.errors import ConfigError
from trainer.extensions import all_names, extension

BACKENDS: dict[str, str] = {
    "centernet": "trainer.backends.centernet:BACKEND",
    "extreme_points": "trainer.backends.extreme_points:BACKEND",
    "libreyolo": "trainer.backends.libreyolo:BACKEND",
    "semantic": "trainer.backends.semantic:BACKEND",
    "torchvision_detection": "trainer.backends.torchvision_detection:BACKEND",
    "yolo": "trainer.backends.yolo:BACKEND",
}
GROUP = "cvat_active_learning.backends"


def names() -> tuple[str, ...]:
    """Return the names of all backends, built-in and from other packages, sorted."""
    return all_names(GROUP, BACKENDS)


def backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises ConfigError for an unknown name, a name that two packages provide, and a backend whose
    libraries are not installed; the message names the extra to install.
    """
    foreign = extension(GROUP, name, own=BACKENDS)
    target = BACKENDS.get(name)
    if target is None and foreign is None:
        raise ConfigError([f"no backend {name!r}; there are {', '.join(names())}"])
    # Read by OpenMP when torch is first loaded: threads that wait by spinning make a fit several
    # times slower on a machine that does anything else at the same time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if target is None:
        return cast("Backend", foreign)
    module, _, attribute = target.partition(":")
    try:
        return cast("Backend", getattr(importlib.import_module(module), attribute))
    except ModuleNotFoundError as error:
        raise ConfigError(
            [f"backend {name} needs {error.name}: pip install 'cvat-active-learning[train]'"]
        ) from error
