"""The settings of a fit as people write them: options, a YAML file, KEY=VALUE pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from trainer.detector import FitConfig
from trainer.errors import ConfigError


def fit_config(values: Mapping[str, Any]) -> FitConfig:
    """Build a FitConfig from plain values; ConfigError lists every fault."""
    known = {f.name for f in fields(FitConfig)}
    faults = [
        f"{name} is no setting of a fit; there are {', '.join(sorted(known))}"
        for name in sorted(set(values) - known)
    ]
    kinds: dict[str, Callable[[Any], Any]] = {
        "backend": str,
        "epochs": int,
        "batch_size": int,
        "learning_rate": float,
        "image_size": _size,
        "seed": int,
        "time_limit": float,
        "base": Path,
        "device": str,
        "workers": int,
        "schedule": str,
        "gamma": float,
        "milestones": _epochs,
        "regions_per_image": int,
        "evaluation_period": int,
        "early_stopping": int,
        "precision": str,
        "extra": dict,
    }
    read = {"backend": "centernet"}
    for name in sorted(set(values) & known):
        try:
            read[name] = kinds[name](values[name])
        except (TypeError, ValueError) as error:
            faults.append(f"{name} cannot be {values[name]!r}: {error}")
    if faults:
        raise ConfigError(faults)
    return FitConfig(**read)  # type: ignore[arg-type]


def _size(text: Any) -> tuple[int, int]:
    parts = text.lower().split("x") if isinstance(text, str) else list(text)
    if len(parts) != 2:
        raise ValueError("expected HEIGHTxWIDTH, such as 384x512")
    return int(parts[0]), int(parts[1])


def _epochs(text: Any) -> tuple[int, ...]:
    parts = text.split(",") if isinstance(text, str) else list(text)
    return tuple(int(part) for part in parts if str(part).strip())


def read_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs; a value that is no JSON is text. ConfigError lists every fault."""
    extra: dict[str, Any] = {}
    faults = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            faults.append(f"--set needs KEY=VALUE, found {pair!r}")
            continue
        try:
            extra[key] = json.loads(text)
        except ValueError:
            extra[key] = text  # a bare word is text
    if faults:
        raise ConfigError(faults)
    return extra


def read_yaml(path: Path | None) -> dict[str, Any]:
    """Read a YAML file of settings; no file is no settings."""
    if path is None:
        return {}
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: expected settings, found {type(values).__name__}"])
    return values
