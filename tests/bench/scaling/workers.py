"""Frames read by two workers against one, and how soon the work of a killed one goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cvat_bridge.config import Config, load_config
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.project import Prepared, prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.progress import quiet
from cvat_bridge.queues.requests import ShardRequest, shards
from cvat_bridge.queues.spreading import Spread
from cvat_bridge.sandbox import running
from cvat_bridge.settings import RoundSettings
from tests import postgres
from tests.bench.figures import Figure
from tests.cvat_bridge.workers.machines import Machine, config_of, machines, there, until
from tests.trainer.random_networks import detector
from trainer.backends.torchvision_detection.export import export_network as export_detector
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import Bundle
from trainer.bundles.shared_bundles import share_bundle

SIDES = (320, 480)  # pixels of the network's input: what takes time is computing


@dataclass
class Site:
    """One CVAT, PostgreSQL and store. frames: of its task; size: frames of a piece."""

    folder: Path
    token: str
    values: dict[str, Any]
    prepared: Prepared
    frames: int
    size: int

    def requests(self, model: str, *, first: int, count: int) -> list[ShardRequest]:
        number = self.prepared.project_id
        keys = [frame_key(self.prepared.task_id, n) for n in range(first, first + count)]
        settings = RoundSettings()
        return shards(number, f"project-{number}", model, keys, settings, size=self.size)

    def predict(self, name: str, requests: Sequence[ShardRequest]) -> float:
        """Have frames read, from an empty home; return the seconds it took."""
        config = load_config(config_of(self.folder, name, **self.values))
        home, blobs = Home.of(config), BlobStore(config.store or "")
        home.root.mkdir(parents=True)
        began = time.perf_counter()
        with Ledger(home.ledger) as ledger:
            Spread(config, home, blobs).predict(ledger, requests, appearance=None, report=quiet)
        return time.perf_counter() - began


def workers(folder: Path, *, frames: int, size: int) -> list[Figure]:
    """Measure both figures with real worker processes of one thread each."""
    truth = read_truth(write_scenes(folder / "scenes", pool=3 * frames, holdout=2))
    with ExitStack() as stack:
        server = stack.enter_context(postgres.running())
        sandbox = stack.enter_context(running(folder / "sandbox"))
        prepared = prepare(sandbox.url, sandbox.admin_token, "workers", truth)
        values = {
            "database_url": server.url(server.new_database()),
            "store": str(folder / "store"),
            "cvat": {"url": sandbox.url, "project": prepared.project_id},
        }
        site = Site(folder, sandbox.admin_token, values, prepared, frames, size)
        model = _network(folder / "model")
        share_bundle(BlobStore(folder / "store").create(), model)
        configs = [config_of(folder, name, **values) for name in ("one", "two")]
        with machines(configs[:1], site.token, queues="predict"):
            site.predict("warm", site.requests(model.version, first=0, count=2))
            alone = site.predict("alone", site.requests(model.version, first=0, count=frames))
        with machines(configs, site.token, queues="predict") as both:
            site.predict("warm-2", site.requests(model.version, first=frames, count=2 * size))
            first = 2 * frames
            pair = site.predict("pair", site.requests(model.version, first=first, count=frames))
            recovery = _recovery(site, model.version, both, load_config(configs[0]))
    note = (
        f"{frames} frames in pieces of {size}; each worker one process, one thread; a CVAT and a "
        "PostgreSQL on the same two cores"
    )
    rate = frames / pair
    return [
        Figure(
            "workers_speedup/predict/2",
            rate,
            "frames/s",
            "one worker",
            frames / alone,
            ratio=alone / pair,
            note=note,
        ),
        Figure(
            "recovery_seconds",
            recovery,
            "s",
            note="from SIGKILL of a worker inside a piece of work to another one's beginning it",
        ),
    ]


def _network(folder: Path) -> Bundle:
    """Export a RetinaNet with random weights."""
    images = torch.rand(2, 3, *SIDES)
    name = "retinanet_mobilenet_v3_small_fpn"
    network = detector(name, ("cat", "dog"), SIDES, brief=True, images=images)
    card: dict[str, Any] = {"name": name, "labels": ("cat", "dog")}
    return export_detector(network, SIDES, folder, files={}, card=card)


def _recovery(site: Site, model: str, both: list[Machine], config: Config) -> float:
    """Kill a worker at work and wait until the other one is at the same piece."""
    requests = site.requests(model, first=site.frames, count=site.frames)[2:]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(site.predict, "recovery", requests)
        victim = both[0]
        work = until(lambda: _at(config, victim.name))
        victim.kill()
        began = time.perf_counter()
        until(lambda: _at(config, both[1].name) == work)
        took = time.perf_counter() - began
        answer.result(timeout=600)
    return took


def _at(config: Config, name: str) -> str:
    return next((str(one.doing.get("work", "")) for one in there(config) if one.name == name), "")
