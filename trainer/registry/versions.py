"""Registered versions, and their history as champions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """A registered model version.

    number: MLflow's, rising from 1 within the key. bundle: the bundle's version (its content
    hash). path: the bundle's folder. created: UTC. champion: whether it serves.
    """

    key: str
    number: int
    bundle: str
    path: Path
    created: datetime
    champion: bool
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Promotion:
    """One change of champion. action: "promote" or "rollback"; at: UTC; reasons: sentences."""

    number: int
    action: str
    at: datetime
    reasons: tuple[str, ...] = ()


def served(history: Iterable[Promotion], champion: int | None) -> list[int]:
    """Return the stack of champions, the current one last: promotions push, rollbacks pop.

    champion: the actual one; it may have been changed outside the history, in MLflow's own pages.
    """
    stack: list[int] = []
    for event in history:
        if event.action == "rollback":
            stack = stack[:-1]
        if not stack or stack[-1] != event.number:
            stack.append(event.number)
    if champion is None:
        return stack
    if champion in stack:
        return stack[: len(stack) - stack[::-1].index(champion)]
    return [*stack, champion]
