"""A project to try the bridge on, with its first jobs finished; the page, to click through."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvat_sdk import Client
from cvat_sdk.core.client import AccessTokenCredentials

from cvat_bridge.demo.annotator import Annotator
from cvat_bridge.demo.arm import bridge
from cvat_bridge.demo.calls import Calls
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.project import prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.errors import BridgeError
from cvat_bridge.projects import load_served
from cvat_bridge.sandbox import Sandbox
from cvat_bridge.web.address import page_address, page_answers

NAME = "trial: made images"
POOL, HOLDOUT = 150, 30  # frames
LEARNING = 60  # seconds of the first fit: enough for a first look at made images
START_SECONDS = 120.0  # for the page to answer
FINISHED = 2  # jobs that are finished, so that the first round has something to learn


@dataclass(frozen=True)
class SampleProject:
    """A project that waits for its first round. images: of its task. labelled: finished frames."""

    project_id: int
    images: int
    labelled: int


def seed(sandbox: Sandbox, told: Callable[[str], None]) -> SampleProject:
    """Make the project, its task and its first labels; a project that is there is left as it is."""
    folder = sandbox.data_dir / "trial-images"
    truth = read_truth(
        folder if folder.is_dir() else write_scenes(folder, pool=POOL, holdout=HOLDOUT)
    )
    images = len(truth.pool) + len(truth.holdout)
    client = Client(sandbox.url)
    client.login(AccessTokenCredentials(sandbox.admin_token))
    with client:
        there = next((p for p in client.projects.list() if p.name == NAME), None)
        if there is not None:
            jobs = [job for task in there.get_tasks() for job in task.get_jobs()]
            done = [j for j in jobs if j.state == "completed" and j.type == "annotation"]
            return SampleProject(int(there.id), images, sum(j.frame_count for j in done))
    told(f"uploading {images} made images")
    prepared = prepare(sandbox.url, sandbox.admin_token, NAME, truth)
    calls = Calls(sandbox.url, token=sandbox.admin_token)
    me = calls.get("/api/users/self").json()["id"]
    asked = {"task_id": prepared.task_id, "page_size": 100}
    jobs = calls.get("/api/jobs", type="annotation", **asked).json()["results"]
    first = sorted(jobs, key=lambda job: int(job["id"]))[:FINISHED]
    for job in first:
        calls.send(f"/api/jobs/{job['id']}", {"assignee": me})
    person = Annotator(sandbox.url, sandbox.admin.username, sandbox.admin.password, truth.objects)
    for job in person.open_jobs(prepared.project_id):
        told(f"a simulated annotator finishes job {job['id']}")
        person.finish(job, prepared.labels)
    return SampleProject(prepared.project_id, images, sum(int(job["frame_count"]) for job in first))


def next_steps(sandbox: Sandbox, trial: SampleProject, *, config: Path) -> list[str]:
    """Return what a person types next, line by line."""
    there = (
        f"A stand-in for CVAT listens on {sandbox.url} (user {sandbox.admin.username}, password "
        f"{sandbox.admin.password}), with project {trial.project_id}: {trial.images} images, "
        f"{trial.labelled} of them labelled."
    )
    page = f"{sandbox.url}/projects/{trial.project_id}"
    return [
        there,
        "In another terminal:",
        f"  export CVAT_ACCESS_TOKEN={sandbox.admin_token}",
        f"  cvat-bridge init --url {page} --config {config} --time-limit {LEARNING}",
        f"  cvat-bridge round --config {config}     # the first ranked job",
        f"  cvat-bridge up --config {config}        # or: the service and the function host",
        "It runs until Ctrl-C; the same folder brings everything back.",
    ]


def keep_page(folder: Path, sandbox: Sandbox, told: Callable[[str], None]) -> None:
    """Serve the page of an arm until Ctrl-C. folder: of the arm. Raises BridgeError."""
    path, log = folder / "cvat-bridge.yaml", folder / "bridge.log"
    address = page_address(load_served(path).shared)
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with bridge(path, sandbox.admin_token, log) as process:
            until = time.monotonic() + START_SECONDS
            while not page_answers(address) and not ended.is_set():
                if process.poll() is not None or time.monotonic() > until:
                    raise BridgeError(f"the page did not start; the bridge's log is {log}")
                ended.wait(0.5)
            told(
                f"the page is {address}: sign in as {sandbox.admin.username} with the password "
                f"{sandbox.admin.password}. Ctrl-C ends it."
            )
            while process.poll() is None and not ended.wait(0.5):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
