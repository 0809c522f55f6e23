"""From which model a fit begins: the one that serves, else the last one that was learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cvat_bridge.config import TrainerSection
from trainer.registry.registry import Registry

# What the trainer says of weights that it cannot begin from: of another network, size or place.
REFUSED = frozenset({"ConfigError", "BundleError"})


@dataclass(frozen=True)
class StartingModel:
    """Where a fit begins.

    origin: "champion", "challenger" (the last one, while none was promoted), "base" (the weights
    that the configuration names) or "backend" (whatever the backend begins with). weights: a
    bundle or a file, None for the backend's own. version: number in the registry, of a model of
    the project. words: the same for people, with the reason where a model was refused.
    """

    origin: Literal["champion", "challenger", "base", "backend"]
    weights: Path | None
    words: str
    version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what a round records of it."""
        return {"origin": self.origin, "version": self.version, "words": self.words}


def starting_model(
    registry: Registry, key: str, settings: TrainerSection, *, number: int
) -> StartingModel:
    """Return from which model the fit of round `number` begins.

    With warm_start: from the champion; while none was promoted from the newest challenger of an
    earlier round, which knows more than nothing. Raises RegistryError.
    """
    if not settings.warm_start:
        return _cold(settings)
    champion = registry.champion(key)
    if champion is not None:
        words = f"the fit began from the model that serves (version {champion.number})"
        return StartingModel("champion", champion.path, words, champion.number)
    learnt = [v for v in registry.versions(key) if 0 < _round_of(v.params) < number]
    if not learnt:
        return _cold(settings)
    last = registry.show(key, max(learnt, key=lambda v: (_round_of(v.params), v.number)).number)
    words = (
        f"the fit began from version {last.number}, the challenger of round "
        f"{_round_of(last.params)}, which was not promoted"
    )
    return StartingModel("challenger", last.path, words, last.number)


def without_refused(refused: StartingModel, why: str, settings: TrainerSection) -> StartingModel:
    """Begin as the first fit did, since a model was refused; say so."""
    cold = _cold(settings)
    sentence = f"version {refused.version} was refused as a beginning ({why}); {cold.words}"
    return replace(cold, words=sentence)


def _cold(settings: TrainerSection) -> StartingModel:
    if settings.base is not None:
        words = f"the fit began from {settings.base.name} (trainer.base)"
        return StartingModel("base", settings.base, words)
    words = f"the fit began with {settings.backend}'s own features"
    return StartingModel("backend", None, words)


def _round_of(params: Mapping[str, str]) -> int:
    """Read the round that learnt a version; 0 for one that a person learnt or brought."""
    value = params.get("round", "")
    return int(value) if value.isdigit() else 0
