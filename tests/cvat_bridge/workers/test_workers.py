"""Workers on a real PostgreSQL, processes with homes of their own; one is killed at work."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvat_bridge.config import Config, Secrets, load_config
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.project import Prepared, prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.errors import ConfigError, NotReadyError
from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.progress import quiet
from cvat_bridge.queues.names import PROTOCOL
from cvat_bridge.queues.presence import Worker, nobody, who_can
from cvat_bridge.queues.requests import shards
from cvat_bridge.queues.spreading import Spread
from cvat_bridge.sandbox import Sandbox, running
from cvat_bridge.settings import RoundSettings
from cvat_bridge.store.artefacts import SNAPSHOTS, keep_folder
from cvat_bridge.training.fitting import run_fit
from cvat_bridge.workers.place import work_place
from cvat_bridge.workers.shards import read_shard
from cvat_bridge.workers.taking import chosen_queues, device_memory, in_words
from tests.cvat_bridge.workers.machines import caught_at_work, config_of, machines, there
from tests.serverless.bright_spots import bright_spots
from trainer.blobs.names import names
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import read_bundle
from trainer.bundles.shared_bundles import share_bundle
from trainer.data.dataset import load_dataset
from trainer.detector import FitConfig
from trainer.embedding import Descriptor

FRAMES, SIZE = 48, 4


@dataclass(frozen=True)
class World:
    """A CVAT with a project, a database and a store; configs: of two machines and the service."""

    sandbox: Sandbox
    prepared: Prepared
    values: dict[str, Any]
    folder: Path

    def config(self, name: str) -> Path:
        return config_of(self.folder, name, **self.values)

    def requests(self, model: str, size: int = SIZE):
        keys = [frame_key(self.prepared.task_id, n) for n in range(FRAMES)]
        number = self.prepared.project_id
        return shards(number, f"project-{number}", model, keys, RoundSettings(), size=size)


@pytest.fixture(scope="module")
def cvat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Prepared]]:
    folder = tmp_path_factory.mktemp("cvat")
    truth = read_truth(write_scenes(folder / "scenes", pool=FRAMES - 4, holdout=4))
    with running(folder / "sandbox") as sandbox:
        yield sandbox, prepare(sandbox.url, sandbox.admin_token, "spread", truth)


@pytest.fixture
def world(cvat, database_url, tmp_path) -> World:
    sandbox, prepared = cvat
    values = {
        "database_url": database_url,
        "store": str(tmp_path / "store"),
        "cvat": {"url": sandbox.url, "project": prepared.project_id},
    }
    return World(sandbox, prepared, values, tmp_path)


@dataclass
class Service:
    """The asking side of one machine."""

    config: Config
    home: Home
    blobs: BlobStore

    def __init__(self, path: Path) -> None:
        self.config = load_config(path)
        self.home = Home.of(self.config)
        self.home.root.mkdir(parents=True)
        self.blobs = BlobStore(self.config.store or "").create()

    def predict(self, requests) -> int:
        with (
            Ledger(self.home.ledger) as ledger,
            AppearanceStore(self.home.judged, Descriptor()) as looks,
        ):
            spread = Spread(self.config, self.home, self.blobs)
            return spread.predict(ledger, requests, appearance=looks, report=quiet)

    def said(self, model: str) -> dict[str, Any]:
        """Return what is known of frames: (content, what was found), by key."""
        with Ledger(self.home.ledger) as ledger:
            rows = ledger.frames()
        with PredictionStore(self.home.predictions, model) as store:
            found = store.get(row.sha256 for row in rows.values())
        return {
            key: (row, found[row.sha256].boxes.tolist(), found[row.sha256].scores.tolist())
            for key, row in rows.items()
        }


def secrets_of(world: World) -> Secrets:
    return Secrets.model_validate({"access_token": world.sandbox.admin_token})


@pytest.mark.timeout(900)
def test_a_worker_killed_inside_a_shard_leaves_no_trace_in_the_end(world: World) -> None:
    service = Service(world.config("service"))
    model = bright_spots(world.folder / "model", gain=8.0)
    share_bundle(service.blobs, model)
    requests = world.requests(model.version)
    assert service.predict(requests) == 0, "nobody is there: the service reads by itself"

    configs = [world.config("one"), world.config("two")]
    with (
        machines(configs, world.sandbox.admin_token, queues="predict") as (one, two),
        ThreadPoolExecutor(1) as pool,
    ):
        assert {worker.name for worker in there(service.config)} == {one.name, two.name}
        answer = pool.submit(service.predict, requests)
        victim = caught_at_work(service.config, (one, two))
        victim.kill()
        assert answer.result(timeout=600) == FRAMES
        assert {worker.name for worker in there(service.config)} == {one.name, two.name} - {
            victim.name
        }
        assert service.predict(requests) == FRAMES, "read before: only fetched again"

    alone = Service(world.config("alone"))
    with connected(alone.config, secrets_of(world)) as gateway:
        for request in world.requests(model.version, size=FRAMES):
            read_shard(request, gateway=gateway, blobs=alone.blobs, home=alone.home, report=quiet)
    assert alone.predict(world.requests(model.version, size=FRAMES)) == FRAMES
    assert len(service.said(model.version)) == FRAMES
    assert service.said(model.version) == alone.said(model.version)
    with (
        AppearanceStore(service.home.judged, Descriptor()) as ours,
        AppearanceStore(alone.home.judged, Descriptor()) as theirs,
    ):
        images = [row.sha256 for row, *_ in service.said(model.version).values()]
        assert set(ours.looks(images)) == set(theirs.looks(images)) == set(images)
        assert np.array_equal(
            ours.looks(images)[images[0]].vector, theirs.looks(images)[images[0]].vector
        )


@pytest.mark.timeout(900)
def test_a_worker_that_slept_longer_than_its_lease_ends_and_writes_nothing(world: World) -> None:
    service = Service(world.config("service"))
    model = bright_spots(world.folder / "model", gain=8.0)
    share_bundle(service.blobs, model)
    requests = world.requests(model.version)
    configs = [world.config("one"), world.config("two")]
    with (
        machines(configs, world.sandbox.admin_token, queues="predict") as both,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(service.predict, requests)
        asleep = caught_at_work(service.config, both)
        asleep.process.send_signal(signal.SIGSTOP)
        try:
            assert answer.result(timeout=600) == FRAMES
        finally:
            asleep.process.send_signal(signal.SIGCONT)
        names = {worker.name for worker in there(service.config)}
        if asleep.name not in names:
            assert asleep.process.wait(timeout=120) == 1, "its lease was gone: it ends by itself"
        assert names >= {one.name for one in both} - {asleep.name}
    assert len(service.said(model.version)) == FRAMES


@pytest.mark.timeout(900)
def test_a_fit_whose_machine_dies_goes_on_elsewhere_to_the_same_model(world: World) -> None:
    service = Service(world.config("service"))
    scenes = load_dataset(write_scenes(world.folder / "scenes", pool=8, holdout=2))
    snapshot = service.home.snapshots / scenes.fingerprint
    shutil.copytree(scenes.path, snapshot)
    keep_folder(service.blobs, SNAPSHOTS, snapshot)
    tiny = FitConfig(
        "centernet",
        batch_size=4,
        image_size=(48, 64),
        device="any",
        extra={"steps": 3, "width": 8},
    )
    heard: list[str] = []

    def fit(device: str = "any"):
        return Spread(service.config, service.home, service.blobs).fit(
            replace(tiny, device=device),
            fingerprint=scenes.fingerprint,
            run="round-1",
            name="spread",
            base=None,
            experiment="spread",
            report=lambda stage, _done, _total: heard.append(stage),
        )

    assert fit() is None, "nobody is there: the service learns by itself"
    configs = [world.config("one"), world.config("two")]
    with (
        machines(configs, world.sandbox.admin_token, queues="fit") as both,
        ThreadPoolExecutor(1) as pool,
    ):
        with pytest.raises(NotReadyError, match=r"no worker with the device cuda:7 .* on cpu"):
            fit("cuda:7")
        answer = pool.submit(fit)
        caught_at_work(service.config, both).kill()
        fitted = answer.result(timeout=800)
        assert len(there(service.config)) == 1

    assert fitted is not None and "fit" in heard
    alone = run_fit(
        snapshot, replace(tiny, device="cpu"), run_dir=world.folder / "alone", name="spread"
    )
    assert card_of(fitted.bundle) == card_of(alone.bundle)
    assert fitted.bundle == service.home.runs / "round-1" / "bundle"
    assert list(names(service.blobs, "checkpoints")) == []


def test_who_takes_no_work_is_said_in_words() -> None:
    old = Worker("w-1", "host", "0.1", PROTOCOL + 1, ("fit",), "cpu", 1)
    gpu = Worker("w-2", "host", "0.2", PROTOCOL, ("fit",), "cuda:0", 1)

    assert who_can([old, gpu], "fit") == (gpu,) == who_can([old, gpu], "fit", "cuda:0")
    assert who_can([old, gpu], "predict") == () == who_can([old, gpu], "fit", "cpu")
    told = nobody([old, gpu], "fit", "cpu")
    assert "version 0.1, which this one cannot give work to" in told
    assert "cvat-bridge worker --queues fit --device cpu" in told
    assert "of another version" in in_words(old) and "waits for work" in in_words(gpu)
    for wrong in ("", "fit,dance"):
        with pytest.raises(ConfigError, match="fit, predict exist"):
            chosen_queues(wrong)
    with pytest.raises(ConfigError, match="found 'gpu'"):
        device_memory("gpu")
    assert device_memory("cpu") > 1 << 28


def test_a_worker_without_a_shared_database_and_store_is_told_what_it_needs(tmp_path) -> None:
    path = config_of(tmp_path, "lonely", store=str(tmp_path / "store"))
    wanted = r"a worker needs `database_url: postgresql://…` and `store:`"
    with (
        pytest.raises(ConfigError, match=wanted),
        work_place(path, Secrets(), device="cpu", threads=None),
    ):
        pass


def card_of(bundle: Path) -> dict[str, Any]:
    """Return what is asked of a model; two fits give the same weights but for rounding."""
    card = read_bundle(bundle).card.to_json()
    rest = ("created", "metrics", "provenance", "files", "extra", "min_score", "class_min_score")
    return {k: v for k, v in card.items() if k not in rest}
