"""Tasks with honeypots (validation mode gt_pool): frames of known truth hidden in people's jobs.

The pool of validation frames stands behind all others and belongs to the ground-truth job; each
annotation job holds a few of them once more, under the same name, in a place drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cvat_bridge.sandbox.frames.requests import RequestError
from cvat_bridge.sandbox.frames.sources import Source
from cvat_bridge.sandbox.store.state import Row

_MODE = "gt_pool"


@dataclass(frozen=True)
class Allocation:
    """The frames of a task: those of each job, honeypots among them, and behind them the pool."""

    jobs: tuple[tuple[Source, ...], ...]
    pool: tuple[Source, ...]

    @property
    def sources(self) -> list[Source]:
        """Return every frame in the order of its number."""
        return [source for job in (*self.jobs, self.pool) for source in job]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Return the first and last frame of each annotation job."""
        found, start = [], 0
        for job in self.jobs:
            found.append((start, start + len(job) - 1))
            start += len(job)
        return found

    @property
    def truth(self) -> tuple[int, int]:
        """Return the first and last frame of the ground-truth job."""
        total = len(self.sources)
        return total - len(self.pool), total - 1


def wanted(settings: dict[str, Any]) -> bool:
    """Return whether a task is to have honeypots."""
    return (settings.get("validation_params") or {}).get("mode") == _MODE


def check(settings: dict[str, Any]) -> None:
    """Refuse what CVAT refuses; RequestError says what does not go together."""
    if settings.get("sorting_method", "lexicographical") != "random":
        raise RequestError(f'validation mode "{_MODE}" can only be used with "random" sorting')
    if settings.get("job_file_mapping"):
        raise RequestError(f'validation mode "{_MODE}" cannot be used with "job_file_mapping"')


def allocate(images: Sequence[Source], task: Row, settings: dict[str, Any]) -> Allocation:
    """Choose the pool, and hide some of it in every job; RequestError as CVAT says it."""
    given = settings["validation_params"]
    dice = random.Random(given.get("random_seed"))
    images = sorted(images, key=lambda one: one.name)
    pool = _pool(images, given, dice)
    rest = [one for one in images if one not in pool]
    if not rest:
        raise RequestError(
            "Cannot create task: too few non-honeypot frames left after selecting validation frames"
        )
    dice.shuffle(rest)
    size = task["segment_size"] or len(rest)
    each = given.get("frames_per_job_count")
    if each is not None and given.get("frame_count") and each > len(pool):
        raise RequestError(
            f"The requested number of validation frames per job ({each}) "
            f"is greater than the validation pool size ({len(pool)})"
        )
    if each is None:
        if given.get("frames_per_job_share") is None:
            raise RequestError("The number of validation frames is not specified")
        each = max(1, int(given["frames_per_job_share"] * size))
    jobs = []
    for start in range(0, len(rest), size):
        job = rest[start : start + size] + dice.sample(pool, min(each, len(pool)))
        dice.shuffle(job)
        jobs.append(tuple(job))
    return Allocation(tuple(jobs), tuple(pool))


def _pool(images: Sequence[Source], given: dict[str, Any], dice: random.Random) -> list[Source]:
    if given["frame_selection_method"] == "manual":
        by_name = {one.name: one for one in images}
        names = given.get("frames") or []
        if unknown := sorted(set(names) - by_name.keys()):
            raise RequestError(f"Unknown validation frames requested: {', '.join(unknown)}")
        return [by_name[name] for name in sorted(set(names))]
    count = given.get("frame_count")
    if count is None:
        if given.get("frame_share") is None:
            raise RequestError("The number of validation frames is not specified")
        count = max(1, int(len(images) * given["frame_share"]))
    if len(images) <= count:
        raise RequestError(
            f"The number of validation frames requested ({count}) must be less than the number of "
            f"task frames ({len(images)})"
        )
    return sorted(dice.sample(list(images), count), key=lambda one: one.name)
