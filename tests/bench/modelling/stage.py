"""What the throughput bench stands on: a small trained network, frames, a person at a server."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests
from numpy.typing import NDArray

from cvat_bridge.demo.scenes import LABELS, SIZE, write_scenes
from serverless.store.functions import Entry, publish
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.detector import FitConfig
from trainer.runs.run import run_fit

HEIGHT, WIDTH = 480, 640
FUNCTION = "throughput"


@dataclass(frozen=True)
class Server:
    """A server's API as a person uses it."""

    url: str
    token: str

    def call(self, method: str, path: str, **more: Any) -> Any:
        """Ask; AssertionError with what was answered when it is refused."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, self.url + path, headers=headers, timeout=120, **more)
        assert answer.ok, answer.text[:500]
        return answer.json() if answer.content else None

    def task(
        self, name: str, frames: Sequence[Path], labels: Sequence[dict[str, Any]] | None = None
    ) -> int:
        """Make a task of files, of the scenes' labels unless given; wait until it has its data."""
        usual = [{"name": label, "type": "rectangle", "attributes": []} for label in LABELS]
        asked = {"name": name, "labels": usual if labels is None else labels}
        number = self.call("POST", "/api/tasks", json=asked)["id"]
        parts = {
            f"client_files[{n}]": (path.name, path.read_bytes()) for n, path in enumerate(frames)
        }
        form = {"image_quality": 90}
        begun = self.call("POST", f"/api/tasks/{number}/data", data=form, files=parts)
        path = f"/api/requests/{requests.utils.quote(begun['rq_id'], '')}"
        while (state := self.call("GET", path))["status"] != "finished":
            assert state["status"] != "failed", state
            time.sleep(0.1)
        return int(number)

    def frame(self, task_id: int, number: int) -> bytes:
        """Return a frame's original as the server serves it."""
        answer = requests.get(
            f"{self.url}/api/tasks/{task_id}/data",
            params={"type": "frame", "quality": "original", "number": number},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=120,
        )
        assert answer.ok, answer.text[:500]
        return answer.content

    def shapes(self, task_id: int) -> list[dict[str, Any]]:
        """Read every shape of a task."""
        rows = self.call("GET", f"/api/jobs?task_id={task_id}&page_size=500")["results"]
        path = "/api/jobs/{}/annotations"
        return [s for row in rows for s in self.call("GET", path.format(row["id"]))["shapes"]]


def trained(folder: Path, *, seconds: float = 150.0) -> Bundle:
    """Fit a YOLO11n on small scenes, and export it for frames of 640 x 480.

    A frame is many such scenes beside each other, so that what it learnt on one tile holds.
    """
    import torch

    from trainer.backends.yolo import BACKEND
    from trainer.backends.yolo.checkpoint import WEIGHTS

    data = write_scenes(folder / "scenes", pool=160, holdout=16, seed=3)
    config = FitConfig(
        "yolo", epochs=12, image_size=SIZE, seed=1, time_limit=seconds, evaluation_period=0
    )
    fitted = run_fit(data, config, folder / "fit", split="none", report=lambda _: None).bundle
    content = torch.load(fitted.path / WEIGHTS, map_location="cpu", weights_only=True)
    meta = {**json.loads(content["meta"]), "image_size": [HEIGHT, WIDTH]}
    torch.save({**content, "meta": json.dumps(meta)}, folder / "large.pt")
    BACKEND.export(folder / "large.pt", folder / "bundle", card={"min_score": 0.25})
    return read_bundle(folder / "bundle")


def frames(folder: Path, count: int) -> list[Path]:
    """Draw JPEGs of 640 x 480: five by five scenes, most of them empty."""
    source = write_scenes(folder / "tiles", pool=1, holdout=60, seed=11)
    tiles = [cv2.imread(str(path)) for path in sorted((source / "images").glob("*.png"))]
    rng = np.random.default_rng(2)
    found = []
    for number in range(count):
        path = folder / f"frame_{number:04d}.jpg"
        cv2.imwrite(str(path), _frame(tiles, rng), [cv2.IMWRITE_JPEG_QUALITY, 92])
        found.append(path)
    return found


def _frame(tiles: Sequence[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    ground = rng.uniform(60, 170, 3) + rng.normal(0, 8, (HEIGHT, WIDTH, 3))
    picture = np.clip(ground, 0, 255).astype(np.uint8)
    for place in rng.choice(25, 4, replace=False):
        y, x = SIZE[0] * (place // 5), SIZE[1] * (place % 5)
        picture[y : y + SIZE[0], x : x + SIZE[1]] = tiles[int(rng.integers(1, len(tiles)))]
    return picture


def published(store: Path, bundle: Bundle) -> None:
    """Show the network in CVAT's menu."""
    text = "what the bench measures"
    publish(store, Entry(FUNCTION, "detector", FUNCTION, text, bundle.path, bundle.version))
