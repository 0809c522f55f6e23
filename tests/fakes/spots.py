"""A project of small pictures with a red and a green spot, which the bundle bright_spots finds.

Whether people drew their objects at the spots or elsewhere decides how good that model is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from active_learning.choose import SelectionSettings
from cvat_bridge.config import Config
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.parts import Parts
from cvat_bridge.settings import RoundSettings
from tests.fakes.gateway import FakeGateway
from tests.fakes.server import FakeServer
from tests.serverless.bright_spots import SIDE, bright_spots
from trainer.registry.registry import Registry

CHANNEL = {"red": 0, "green": 1}
Right = Callable[[int], bool]  # by the number of a frame: whether people drew at the spot


def spot_of(seed: int, label: str) -> tuple[int, int]:
    """Return the cell (row, column) of the spot of a label; the two never touch."""
    rng = np.random.default_rng([seed, 7])
    row, columns = int(rng.integers(1, 7)), (int(rng.integers(1, 3)), int(rng.integers(5, 7)))
    return row, columns[CHANNEL[label]]


def spotted(seed: int) -> bytes:
    """Encode a picture of dim noise, of its own for each seed, with its two spots."""
    coarse = np.random.default_rng(seed).integers(0, 60, (8, 8, 3), dtype=np.uint8)
    image = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)
    for label, channel in CHANNEL.items():
        row, column = spot_of(seed, label)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, channel] = 255
    return bytes(cv2.imencode(".png", image[..., ::-1])[1])


def box(seed: int, label: str, *, right: bool) -> list[float]:
    """Return the object that people drew: around the spot, or in a far corner."""
    row, column = spot_of(seed, label) if right else (7 if spot_of(seed, label)[0] < 4 else 0, 4)
    x, y = 4.0 * column + 2, 4.0 * row + 2
    return [max(0.0, x - 4), max(0.0, y - 4), min(SIDE, x + 4), min(SIDE, y + 4)]


class Spots:
    """A project with finished frames to learn from, finished frames that judge, and a pool."""

    def __init__(
        self,
        home: Home,
        ledger: Ledger,
        right: Mapping[str, Right],
        *,
        train: int = 10,
        holdout: int = 24,
        pool: int = 12,
        selection: SelectionSettings | None = None,
        **config: Any,
    ) -> None:
        self.server = FakeServer()
        self.project = self.server.add_project("spots", list(right))
        self.right = right
        self._finished(range(train), "")
        self._finished(range(100, 100 + holdout), "holdout")
        pictures = {f"{n}.png": spotted(n) for n in range(200, 200 + pool)}
        self.pool = self.server.add_task(self.project.id, pictures)
        values = {
            "home": str(home.root),
            "cvat": {"project": self.project.id},
            "interactor": {"learn": False},
            **config,
        }
        self.parts = Parts(
            config=Config.model_validate(values),
            settings=RoundSettings(
                budget=10, job_size=5, min_score=0.5, selection=selection or SelectionSettings()
            ),
            gateway=FakeGateway(self.server),
            ledger=ledger,
            home=home,
            registry=Registry(None, home.root),
        )

    def _finished(self, seeds: range, subset: str) -> None:
        pictures = {f"{n}.png": spotted(n) for n in seeds}
        task = self.server.add_task(self.project.id, pictures, subset=subset)
        (job,) = self.server.jobs_of(task.id)
        shapes = [
            {
                "type": "rectangle",
                "frame": frame,
                "label_id": self.server.label(self.project.id, label).id,
                "points": box(seed, label, right=is_right(seed)),
            }
            for frame, seed in enumerate(seeds)
            for label, is_right in self.right.items()
        ]
        self.server.annotate(job.id, shapes=shapes)
        self.server.finish(job.id)

    def learnt(self, folder: Path, *, number: int = 1, gain: float = 8.0) -> dict[str, Any]:
        """Return what the step `fit` leaves, with the model that finds spots as what was learnt."""
        bundle = bright_spots(folder / f"learnt-{gain}", gain=gain, labels=tuple(self.right))
        ids = {name: self.server.label(self.project.id, name).id for name in self.right}
        version = self.parts.registry.register(
            self.parts.key, bundle, params={"round": number}, tags={"label_ids": json.dumps(ids)}
        )
        return {"bundle": str(version.path), "version": version.bundle, "reason": ""}
