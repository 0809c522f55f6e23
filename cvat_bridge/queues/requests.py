"""What a round asks of a worker, as values that survive both: JSON, and names in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cvat_bridge.settings import RoundSettings

SHARD = 256  # frames of a piece of prediction


@dataclass(frozen=True)
class FitRequest:
    """A fit. run: name of its folder, the same on every machine. fingerprint: of the snapshot.

    settings: a FitConfig as JSON, without a base. base: version of the bundle to begin with, "" for
    none; base_file: {"name", "sha256"} where it is a file of weights. name: of the card.
    """

    project: int
    run: str
    fingerprint: str
    name: str
    settings: Mapping[str, Any]
    base: str = ""
    base_file: Mapping[str, str] | None = None
    experiment: str = ""

    @property
    def id(self) -> str:
        """Its name in the queue and among the checkpoints."""
        return f"project-{self.project}/{self.run}"


@dataclass(frozen=True)
class ShardRequest:
    """Frames of a project for a model to read. model: version of the bundle, "" at a cold start.

    frames: keys of frames; their content never changes in CVAT. asked: what else decides the
    answer. key: of the models in the registry.
    """

    project: int
    key: str
    model: str
    frames: tuple[str, ...]
    asked: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of its answer: equal requests have one, on every machine."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def id(self) -> str:
        """Its name in the queue."""
        return f"project-{self.project}/predict-{self.name}"


def shards(
    project: int,
    key: str,
    model: str,
    frames: Sequence[str],
    settings: RoundSettings,
    *,
    size: int = SHARD,
) -> list[ShardRequest]:
    """Divide frames, in their order, so that the same pool gives the same pieces."""
    asked = {
        "candidate_score": settings.candidate_score,
        "max_candidates": settings.max_candidates,
        "strategy": settings.selection.strategy,
    }
    return [
        ShardRequest(project, key, model, tuple(frames[start : start + size]), asked)
        for start in range(0, len(frames), size)
    ]
