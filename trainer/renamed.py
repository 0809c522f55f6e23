"""Settings and network parameters under the names that they had in version 0.1, for one version.

One table each. Run folders, cards, checkpoints and configurations written before the renaming are
still read; a configuration that a person wrote is read with a FutureWarning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")

# Backend -> keys of FitConfig.extra, old name to new.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "extreme_points": {
        "jitter": "relative_jitter",
        "tremble": "click_jitter",
        "steady": "exact_share",
        "blind": "single_click",
        "still": "freeze_norm",
        "held": "held_out",
        "spoilt": "corrupted",
        "most": "max_objects",
        "grow": "initial_share",
        "first_size": "initial_size",
    }
}
# Prefixes of the names in a state dict, old to new.
PARAMETERS: Mapping[str, str] = {"judge.": "iou_head."}


def current_settings(backend: str, extra: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """Return a backend's settings under their names of today.

    where: what a person wrote them in, for a FutureWarning about each old name; "" warns of none.
    A setting given under both names keeps the new one's value.
    """
    return renamed(extra, SETTINGS.get(backend, {}), where=where)


def former_settings(backend: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return a backend's settings under the names of version 0.1."""
    names = {new: old for old, new in SETTINGS.get(backend, {}).items()}
    return {names.get(key, key): value for key, value in extra.items()}


def renamed(
    values: Mapping[str, Any], names: Mapping[str, str], *, where: str = ""
) -> dict[str, Any]:
    """Return values with old keys replaced by new ones; see current_settings."""
    found = {key: value for key, value in values.items() if key not in names}
    for old in values.keys() & names.keys():
        if where:
            text = f"{where}: {old} is now called {names[old]}"
            text += "; the old name is read for one version more"
            warnings.warn(text, FutureWarning, stacklevel=3)
        found.setdefault(names[old], values[old])
    return found


def current_parameters(weights: Mapping[str, Value]) -> dict[str, Value]:
    """Return the tensors of a state dict under their names of today."""
    found = {}
    for name, value in weights.items():
        prefix = next((old for old in PARAMETERS if name.startswith(old)), "")
        found[PARAMETERS.get(prefix, "") + name.removeprefix(prefix)] = value
    return found
