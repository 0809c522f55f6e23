"""What one machine's bridge leaves in the store, another finds there: as after a failover."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from cvat_bridge.config import Config, load_config
from cvat_bridge.errors import BridgeError
from cvat_bridge.home import Home
from cvat_bridge.loop.learning import pull_step
from cvat_bridge.loop.results import Results
from cvat_bridge.models.registries import registry_of
from cvat_bridge.models.serving import project_key, promote
from cvat_bridge.store.artefacts import SNAPSHOTS, bring_folder
from cvat_bridge.store.checkpoints import kept_checkpoints, put_checkpoint
from cvat_bridge.store.opening import followed, opened_blobs
from cvat_bridge.store.retention import sweep_store
from serverless.store.functions import entries
from tests.fakes.spots import Spots
from trainer.blobs.errors import BlobError, BlobMissingError
from trainer.blobs.names import names
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset


@pytest.fixture
def machines(tmp_path, home, ledger):
    """Two machines of one project: the same records, registry and store; homes of their own."""
    shared = {
        "store": str(tmp_path / "store"),
        "mlflow_url": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }
    spots = Spots(home, ledger, {"red": lambda _: True}, **shared)

    def parts_of(one: Home):
        config = spots.parts.config.model_copy(update={"home": one.root})
        return replace(
            spots.parts,
            config=config,
            home=one,
            registry=registry_of(config, one),
            blobs=opened_blobs(config, one),
        )

    spots.parts = parts_of(home)
    return spots, spots.parts, parts_of(Home(tmp_path / "other"))


def test_a_snapshot_and_a_model_of_one_machine_are_found_on_the_other(machines, tmp_path):
    spots, here, there = machines
    pulled = pull_step(here, 1, Results({}))
    learnt = spots.learnt(tmp_path)
    shutil.rmtree(pulled.dataset)

    found = there.dataset(pulled.dataset, pulled.fingerprint)

    assert found == there.home.snapshots / pulled.fingerprint
    assert load_dataset(found).fingerprint == pulled.fingerprint
    version = there.registry.show(there.key, learnt["version"])
    assert read_bundle(there.home.bundles / learnt["version"], version=version.bundle)
    # A cache may vanish, and be damaged, at any time.
    (version.path / "model.onnx").write_bytes(b"cut")
    assert there.registry.whole(version) and read_bundle(version.path, version=version.bundle)
    with pytest.raises(BlobMissingError, match="snapshots/unknown"):
        there.dataset("/nowhere/unknown", "unknown")


def test_what_one_machine_promotes_the_other_shows_and_may_promote_on(machines, tmp_path):
    spots, here, there = machines
    first, second = spots.learnt(tmp_path), spots.learnt(tmp_path, gain=4.0)

    promote(here.gateway, here.config, here.home, here.registry, first["version"])
    assert followed(there.config, there.home, there.blobs) == ("champion",)
    (entry,) = entries(there.home.functions)
    assert (entry.version, entry.bundle.parent) == (first["version"], there.home.bundles)

    promote(there.gateway, there.config, there.home, there.registry, second["version"])
    assert followed(here.config, here.home, here.blobs) == ("champion",)
    (entry,) = entries(here.home.functions)
    assert entry.version == second["version"]
    assert project_key(here.config.project_id) == here.key


def test_a_home_that_served_before_the_store_was_set_publishes_it(tmp_path, home, ledger):
    spots = Spots(home, ledger, {"red": lambda _: True})
    parts = spots.parts
    promote(parts.gateway, parts.config, home, parts.registry, spots.learnt(tmp_path)["version"])
    config = parts.config.model_copy(update={"store": str(tmp_path / "store")})

    blobs = opened_blobs(config, home)

    assert [row.name for row in names(blobs, "functions")] == ["champion"]
    assert opened_blobs(parts.config, home) is None
    (entry,) = entries(home.functions)
    assert entry.id == "champion"


def run_of(folder, *, step, base="/old/base"):
    files = {"fit/state.pt": b"s" * step, "fit/stop": b"", "fit/data/x.png": b"x", "lock": b""}
    request = {"config": {"base": base, "seed": 7}}
    files |= {"request.json": json.dumps(request).encode(), "events.jsonl": b"{}\n" * step}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_a_fit_goes_on_elsewhere_from_its_last_checkpoint_and_ends_in_none(tmp_path):
    blobs = BlobStore(tmp_path / "store").create()
    here, there = tmp_path / "a" / "run", tmp_path / "b" / "run"
    run_of(here, step=1)
    put_checkpoint(blobs, "p/round-1", here)
    run_of(here, step=2)
    put_checkpoint(blobs, "p/round-1", here)

    there.mkdir(parents=True)
    with kept_checkpoints(blobs, "p/round-1", there, base=tmp_path / "base"):
        found = sorted(str(p.relative_to(there)) for p in there.rglob("*") if p.is_file())
        assert found == ["events.jsonl", "fit/state.pt", "request.json"], "neither lock nor stop"
        assert (there / "fit" / "state.pt").read_bytes() == b"ss"
        request = json.loads((there / "request.json").read_bytes())
        assert request["config"] == {"base": str((tmp_path / "base").resolve()), "seed": 7}
    assert list(names(blobs, "checkpoints")) == []


def test_a_checkpoint_is_copied_while_the_fit_learns_and_kept_when_it_fails(tmp_path):
    blobs = BlobStore(tmp_path / "store").create()
    run = tmp_path / "a" / "run"

    def crash():
        with kept_checkpoints(blobs, "fit", run, base=None, every=0.01):
            run_of(run, step=3)
            while not list(names(blobs, "checkpoints")):
                time.sleep(0.01)
            raise KeyError

    with pytest.raises(KeyError):
        crash()
    assert [row.name for row in names(blobs, "checkpoints")] == ["fit"]


def test_a_store_that_is_away_stops_no_fit(tmp_path):
    blobs = BlobStore(tmp_path / "nothing mounted here")
    run = tmp_path / "a" / "run"
    with kept_checkpoints(blobs, "fit", run, base=None, every=0.01):
        run_of(run, step=3)
    assert (run / "fit" / "state.pt").exists()


def test_a_store_that_cannot_be_used_is_told_before_anything_begins(tmp_path, home):
    (tmp_path / "store").write_text("no folder")
    config = Config(home=home.root, store=str(tmp_path / "store"))

    with pytest.raises(BridgeError, match="cannot follow a shared store"):
        opened_blobs(config, home)
    with pytest.raises(BlobError, match="snapshots/x is neither there nor at"):
        bring_folder(None, SNAPSHOTS, tmp_path / "x")


def test_sweeping_keeps_what_is_named(tmp_path):
    blobs = BlobStore(tmp_path / "store").create()
    run_of(tmp_path / "run", step=1)
    put_checkpoint(blobs, "fit", tmp_path / "run")
    blobs.put(b"nobody's")

    swept = sweep_store(blobs, age=timedelta(days=7), dry=True)

    assert (swept.removed, swept.expired) == (0, ()) and swept.kept == 5


def test_the_store_stands_beside_the_file_or_is_an_address_without_password(tmp_path):
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text("store: shared/models\n")
    assert load_config(path).store == str(tmp_path / "shared" / "models")
    path.write_text("store: s3://bucket/models\n")
    assert load_config(path).store == "s3://bucket/models"
    with pytest.raises(ValidationError, match="AWS_ACCESS_KEY_ID"):
        Config(store="s3://key:secret@bucket/models")
