"""The settings of a fit as people write them: options, a YAML file, KEY=VALUE pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from trainer.backends import backend
from trainer.backends import names as backends
from trainer.backends.fit_checks import device_name
from trainer.data.files import parse_json, parse_yaml
from trainer.data.texts import read_text
from trainer.detector import AUTOMATIC, FitConfig
from trainer.errors import ConfigError
from trainer.renamed import current_settings

# Defaults of single backends; the others use FitConfig's.
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "libreyolo": {"image_size": (640, 640), "learning_rate": 2e-4},
    "yolo": {"image_size": (640, 640)},
}


def fit_config(values: Mapping[str, Any]) -> FitConfig:
    """Build a FitConfig from plain values; ConfigError lists every fault, including the backend's.

    Besides FitConfig's own names, `task` ("boxes", "masks") selects what a backend trains.
    """
    known = {f.name for f in fields(FitConfig)} - {"automatic"}
    faults = [
        f"{name} is not a setting of a fit; known are {', '.join(sorted({*known, 'task'}))}"
        for name in sorted(set(values) - known - {"task"})
    ]
    read: dict[str, Any] = {"backend": FitConfig.backend}
    hints = get_type_hints(FitConfig)
    for name in sorted(set(values) & known):
        try:
            read[name] = _reader(name, hints[name])(values[name])
        except (TypeError, ValueError) as error:
            faults.append(f"{name} cannot be {values[name]!r}: {error}")
    if "extra" in read:
        read["extra"] = current_settings(read["backend"], read["extra"], where="extra")
    config = FitConfig(
        **{**_USUAL.get(read["backend"], {}), "automatic": AUTOMATIC - read.keys(), **read}
    )
    if values.get("task") is not None:
        config, wrong = _with_task(config, values["task"])
        faults += wrong
    if faults:
        raise ConfigError([*faults, *_backend_faults(config)])
    return config


def _reader(name: str, hint: Any) -> Callable[[Any], Any]:
    """Return the function that parses a setting: by its name, else by its type."""
    if name in _READERS:
        return _READERS[name]
    if get_origin(hint) is Mapping:
        return dict
    kind: Callable[[Any], Any] = next(iter(get_args(hint)), hint)  # of "int | None", int
    return kind


def _with_task(config: FitConfig, task: str) -> tuple[FitConfig, list[str]]:
    """Return the config for a task, and the faults of requesting it."""
    if config.backend not in backends():
        return config, []  # reported by its own fault
    can = backend(config.backend).tasks
    if task not in can:
        others = [name for name in backends() if task in backend(name).tasks]
        others_can = f"; {', '.join(others)} can" if others else ""
        return config, [
            f"task {task!r}: {config.backend} trains {' or '.join(sorted(can))}{others_can}"
        ]
    if config.extra.get("task", task) != task:
        return config, [f"task={task} and extra.task={config.extra['task']} contradict each other"]
    if len(can) == 1:
        return config, []
    return replace(config, extra={**config.extra, "task": task}), []


def _backend_faults(config: FitConfig) -> Sequence[str]:
    """Return the backend's faults of the settings that could be read."""
    try:
        backend(config.backend).check(config)
    except ConfigError as error:
        return error.faults
    return ()


def _size(text: Any) -> tuple[int, int]:
    parts = text.lower().split("x") if isinstance(text, str) else list(text)
    if len(parts) != 2:
        raise ValueError("expected HEIGHTxWIDTH, such as 384x512")
    return int(parts[0]), int(parts[1])


def _epochs(text: Any) -> tuple[int, ...]:
    parts = text.split(",") if isinstance(text, str) else list(text)
    return tuple(int(part) for part in parts if str(part).strip())


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "image_size": _size,
    "device": device_name,
    "milestones": _epochs,
}


def read_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs; a value that is not JSON is text. ConfigError lists every fault."""
    extra: dict[str, Any] = {}
    faults = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            faults.append(f"--set needs KEY=VALUE, found {pair!r}")
            continue
        try:
            extra[key] = parse_json(text)
        except ValueError:
            extra[key] = text  # a bare word is text
    if faults:
        raise ConfigError(faults)
    return extra


def read_yaml(path: Path | None) -> dict[str, Any]:
    """Read a YAML file of settings; None for no file.

    `base` may be relative to the file or, if there is no such path, to the working directory.
    """
    if path is None:
        return {}
    import yaml

    try:
        values = parse_yaml(read_text(path)) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: expected settings, found {type(values).__name__}"])
    base = values.get("base")
    if isinstance(base, str) and (path.parent / base).exists():
        values["base"] = str((path.parent / base).resolve())
    return values
