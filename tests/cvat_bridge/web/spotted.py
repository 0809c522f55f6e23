"""A project in the sandbox with small pictures of spots, and a real model that finds them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cvat_sdk import Client
from cvat_sdk.core.client import AccessTokenCredentials
from cvat_sdk.core.client import Config as ClientConfig
from cvat_sdk.core.proxies.tasks import ResourceType

from cvat_bridge.loop.parts import Parts
from cvat_bridge.sandbox import Sandbox, SandboxUser
from serverless.store.functions import Entry, publish
from tests.cvat_bridge.web.serving import Api
from tests.fakes.spots import box, spotted
from tests.serverless.bright_spots import bright_spots
from trainer.registry.versions import Version

CLASSES = ("red", "green")
FRAMES, IN_A_JOB = 8, 4
FUNCTION = "bright-spots"


@dataclass(frozen=True)
class Spotted:
    """A project and its task of spots; a second task has frames of its own."""

    project: int
    task: int
    second: int
    labels: dict[str, int]


def make_project(
    sandbox: Sandbox, owner: SandboxUser, folder: Path, name: str = "Spots"
) -> Spotted:
    """Make the project, assigned to `owner`, who may act on the page."""
    client = Client(sandbox.url, config=ClientConfig(status_check_period=0.1))
    client.login(AccessTokenCredentials(sandbox.admin_token))
    with client:
        (person,) = [user for user in client.users.list() if user.username == owner.username]
        labels = [{"name": label, "type": "rectangle"} for label in CLASSES]
        project = client.projects.create({"name": name, "labels": labels, "assignee_id": person.id})
        tasks = []
        for place in range(2):
            files = []
            for number in range(FRAMES):
                path = folder / f"{place}-{number:02}.png"
                path.write_bytes(spotted(100 * place + number))
                files.append(path)
            tasks.append(
                client.tasks.create_from_data(
                    {
                        "name": f"spots {place}",
                        "project_id": project.id,
                        "segment_size": IN_A_JOB,
                    },
                    resources=files,
                    resource_type=ResourceType.LOCAL,
                )
            )
        found = {label.name: int(label.id) for label in project.get_labels()}
    return Spotted(int(project.id), int(tasks[0].id), int(tasks[1].id), found)


def offer(parts: Parts, folder: Path) -> None:
    """Put the model that finds spots into CVAT's list."""
    bundle = bright_spots(folder / "offered")
    entry = Entry(FUNCTION, "detector", "Bright spots", "boxes", bundle.path, bundle.version)
    publish(parts.functions, entry)
    parts.registry.champion(parts.key)  # opening it takes seconds, which no screen shall wait for


def finish(sandbox: Sandbox, task: int, drawn: Spotted, first: int = 0) -> None:
    """Let somebody draw every spot of a task and finish its jobs. first: seed of its pictures."""
    api = Api(sandbox.url, sandbox.admin.username, sandbox.admin.password)
    shapes = [
        {
            "type": "rectangle",
            "frame": number,
            "label_id": label_id,
            "points": box(first + number, name, right=True),
            "attributes": [],
        }
        for number in range(FRAMES)
        for name, label_id in drawn.labels.items()
    ]
    where = f"/api/tasks/{task}/annotations?action=create"
    api.send("PATCH", where, shapes=shapes, tags=[], tracks=[], version=0)
    for job in api.send("GET", f"/api/jobs?task_id={task}")["results"]:
        api.send("PATCH", f"/api/jobs/{job['id']}", state="completed")


def register(parts: Parts, folder: Path, drawn: Spotted, gain: float) -> Version:
    """Register a version of the project's own; a larger gain is surer."""
    return parts.registry.register(
        parts.key,
        bright_spots(folder / f"gain-{gain}", gain=gain),
        metrics={"ap": gain / 10},
        tags={"label_ids": json.dumps(drawn.labels)},
    )
