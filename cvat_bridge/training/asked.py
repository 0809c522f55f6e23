"""The settings of a training by hand: the configuration's, with what a person gave."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from cvat_bridge.config import TrainerSection
from cvat_bridge.errors import ConfigError
from trainer.errors import ConfigError as FitConfigError
from trainer.runs.fit_settings import fit_config, read_pairs


def trainer_settings(
    known: TrainerSection, fit: Sequence[str], extra: Sequence[str], task: str | None = None
) -> TrainerSection:
    """Return the trainer section with NAME=VALUE pairs of a fit and of its backend's own settings.

    task: "boxes" or "masks", for a backend that trains both. Raises ConfigError with every fault,
    each beginning with `--fit` and the name of its setting where one alone is wrong.
    """
    try:
        values, own = read_pairs(fit), read_pairs(extra)
    except FitConfigError as error:
        raise ConfigError(error.faults) from error
    for key, of in (("image_size", "x"), ("milestones", ",")):
        if isinstance(values.get(key), str):
            values[key] = values[key].lower().split(of)
        elif isinstance(values.get(key), int):
            values[key] = [values[key]]
    known_names = {*known.shown, "task"}
    if unknown := [name for name in values if name not in known_names]:
        there = ", ".join(sorted(known_names - {"extra"}))
        raise ConfigError([f"--fit {name}: no such setting; there are {there}" for name in unknown])
    backend = values.get("backend", known.backend)
    # Another family does not know the settings of the configured one.
    kept = known.extra if backend == known.backend else {}
    merged = {**known.shown, **values, "extra": {**kept, **own}}
    try:
        section = TrainerSection.of(merged)
        if task is None:
            return section
        chosen = fit_config({**section.given, "task": task})
        return TrainerSection.of({**section.shown, "extra": dict(chosen.extra)})
    except FitConfigError as error:
        raise ConfigError(error.faults) from error
    except ValidationError as error:
        raise ConfigError(
            [f"--fit {'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()]
        ) from error
