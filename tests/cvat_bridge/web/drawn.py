"""A project with images in the sandbox and records of a model that fails on dark frames."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cvat_sdk import Client
from cvat_sdk.core.client import AccessTokenCredentials
from cvat_sdk.core.client import Config as ClientConfig
from cvat_sdk.core.proxies.tasks import ResourceType
from PIL import Image

from cvat_bridge.evaluations.table import CropTable, write_table
from cvat_bridge.ledger.records import Judgement, PoolRecord
from cvat_bridge.loop.parts import Parts
from cvat_bridge.sandbox import Sandbox, SandboxUser
from tests.bench.paging.speed import CLASSES, drawn_judged, drawn_pool

MODEL = "m" * 16
IMAGES, OBJECTS = 24, 5000


@dataclass(frozen=True)
class Drawn:
    """A project with one task of images that nobody has labelled."""

    project: int
    task: int


def make_project(sandbox: Sandbox, owner: SandboxUser, folder: Path) -> Drawn:
    """Make the project with its task; it is assigned to `owner`, who may act on the page."""
    rng = np.random.default_rng(3)
    for number in range(IMAGES):
        pixels = rng.integers(0, 255, (12, 16, 3), np.uint8)
        held = io.BytesIO()
        Image.fromarray(pixels).resize((640, 480)).save(held, "JPEG", quality=40)
        (folder / f"{number:02}.jpg").write_bytes(held.getvalue())
    client = Client(sandbox.url, config=ClientConfig(status_check_period=0.1))
    client.login(AccessTokenCredentials(sandbox.admin_token))
    with client:
        (person,) = [user for user in client.users.list() if user.username == owner.username]
        labels = [{"name": name, "type": "rectangle"} for name in CLASSES]
        project = client.projects.create(
            {"name": "Drawn cells", "labels": labels, "assignee_id": person.id}
        )
        task = client.tasks.create_from_data(
            {"name": "pool", "project_id": project.id, "segment_size": IMAGES},
            resources=sorted(folder.glob("*.jpg")),
            resource_type=ResourceType.LOCAL,
        )
        return Drawn(int(project.id), int(task.id))


def write_records(parts: Parts, drawn: Drawn) -> None:
    """Record what the model got wrong on frames of the task, and that it has read the pool."""
    home, ledger = parts.home, parts.ledger
    judged = drawn_judged(np.random.default_rng(1), OBJECTS)
    count = len(judged.frames)
    frames = replace(
        judged.frames,
        task=np.full(count, drawn.task, np.int32),
        frame=(np.arange(count) % IMAGES).astype(np.int32),
        job=np.full(count, 1, np.int32),
    )
    judged = replace(judged, frames=frames)
    seen, crops = drawn_pool(np.random.default_rng(2), IMAGES)
    seen = replace(
        seen,
        frames=replace(
            seen.frames,
            task=np.full(IMAGES, drawn.task, np.int32),
            frame=np.arange(IMAGES, dtype=np.int32),
        ),
    )
    none = write_table(home.judged, CropTable(crops.rows, crops.vectors, 0))
    table = write_table(home.judged, judged)
    for source in ("holdout", "corrected"):
        ledger.save_judgement(
            Judgement(
                *(MODEL, source, 2, count, OBJECTS, len(judged.answers), 0.3, table, none),
                "2026-02-01T10:00:00+00:00",
            )
        )
    ledger.save_pool(
        PoolRecord(MODEL, 2, IMAGES, write_table(home.judged, seen), none, "2026-02-01")
    )
