"""The registry on its embedded store."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from trainer.bundles.bundle import Bundle, read_bundle, write_bundle
from trainer.errors import BundleError, ConfigError, RegistryError
from trainer.registry.registry import Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Registry:
    """One store for all tests: making it takes seconds. Each test has keys of its own."""
    return Registry(None, tmp_path_factory.mktemp("home"))


def make_bundle(folder: Path, content: str) -> Bundle:
    weights = folder / f"{content}.weights"
    weights.write_text(content)
    return write_bundle(
        folder / "made" / content,
        files={"model.onnx": weights},
        name=content,
        engine="centernet",
        task="boxes",
        labels=("cell",),
        input_size=(32, 32),
    )


def test_a_bundle_is_registered_once_and_its_content_kept_once(registry, tmp_path):
    bundle = make_bundle(tmp_path, "one")
    first = registry.register(
        "once", bundle, metrics={"ap": 0.5}, params={"epochs": 3}, tags={"round": "1"}
    )
    again = registry.register("once", bundle, metrics={"ap": 0.9})
    other_key = registry.register("once more", bundle)

    assert (first.number, first.champion, first.bundle) == (1, False, bundle.version)
    assert again == first
    assert dict(first.metrics) == {"ap": 0.5}
    assert dict(first.params) == {"epochs": "3"}
    assert dict(first.tags) == {"round": "1"}
    assert first.path == other_key.path == registry.bundles / bundle.version
    assert read_bundle(first.path, version=first.bundle).card.name == "one"


def test_no_champion_before_a_promotion_and_then_the_promoted_one(registry, tmp_path):
    for content in ("a1", "a2"):
        registry.register("first", make_bundle(tmp_path, content))

    assert registry.champion("first") is None
    assert registry.champion("never heard of") is None
    assert registry.versions("never heard of") == []

    promoted = registry.promote("first", 2, reasons=("it wins",))

    assert registry.champion("first") == promoted
    assert (promoted.number, promoted.champion) == (2, True)
    assert [(v.number, v.champion) for v in registry.versions("first")] == [(2, True), (1, False)]
    assert registry.history("first")[0].reasons == ("it wins",)


def test_rollback_goes_to_the_champion_before_and_again_to_the_one_before(registry, tmp_path):
    bundles = [make_bundle(tmp_path, f"b{n}") for n in range(4)]
    for bundle in bundles:
        registry.register("back", bundle)
    for number in (1, 3, 2):
        registry.promote("back", number)

    assert registry.rollback("back").number == 3
    assert registry.rollback("back").number == 1
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.rollback("back")

    registry.promote("back", 4)

    assert registry.rollback("back").number == 1
    assert registry.champion("back").bundle == bundles[0].version
    assert [(p.action, p.number) for p in registry.history("back")] == [
        ("promote", 1),
        ("promote", 3),
        ("promote", 2),
        ("rollback", 3),
        ("rollback", 1),
        ("promote", 4),
        ("rollback", 1),
    ]


def test_promoting_the_champion_again_changes_nothing(registry, tmp_path):
    registry.register("twice", make_bundle(tmp_path, "c"))
    registry.promote("twice", 1)
    registry.promote("twice", 1)

    assert len(registry.history("twice")) == 1


def test_a_version_is_found_by_number_hash_and_prefix_and_others_are_told(registry, tmp_path):
    bundle = make_bundle(tmp_path, "d")
    registry.register("find", bundle)

    for name in (1, "1", bundle.version, bundle.version[:6]):
        assert registry.show("find", name).bundle == bundle.version
    with pytest.raises(RegistryError, match=f"no version matches '7'.*{bundle.version[:12]}"):
        registry.promote("find", 7)


@pytest.mark.parametrize("key", ["a/b", "a:b", "a'b", "", " a", "..", "x" * 201])
def test_a_key_that_cannot_be_a_name_is_refused(registry, tmp_path, key):
    with pytest.raises(ConfigError, match="model key"):
        registry.register(key, make_bundle(tmp_path, "e"))


def test_another_process_sees_the_same_champion_and_nothing_is_left_where_it_ran(
    registry, tmp_path
):
    registry.register("shared", make_bundle(tmp_path, "f"))
    version = registry.promote("shared", 1)
    asked = tmp_path / "elsewhere"
    asked.mkdir()
    command = [sys.executable, "-m", "trainer", "show", "shared", "--home"]
    answer = subprocess.run(
        [*command, str(registry.artifact_root)],
        cwd=asked,
        env={"PATH": "", "HOME": str(asked), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )

    assert version.bundle in answer.stdout
    assert "champion" in answer.stdout
    assert answer.stderr == ""
    assert list(asked.iterdir()) == []


def test_a_store_whose_making_was_killed_is_told_as_damaged_and_no_half_of_one_is_left(tmp_path):
    """What MLflow leaves when it is killed while it makes its tables; ours is made whole."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as half:
        half.execute("create table experiments (experiment_id integer)")
        half.execute("create table _alembic_tmp_experiments (experiment_id integer)")
    with pytest.raises(RegistryError, match="is damaged"):
        Registry(None, tmp_path).keys()

    assert Registry(None, tmp_path / "new").keys() == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]


def test_a_server_that_does_not_answer_is_not_an_empty_registry(tmp_path, unused_tcp_port):
    registry = Registry(f"http://127.0.0.1:{unused_tcp_port}", tmp_path)
    with pytest.raises(RegistryError, match="did not answer"):
        registry.champion("any")


# -- damage --------------------------------------------------------------------------------------


def test_a_damaged_database_says_so_and_what_to_do(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"torn" * 500)

    with pytest.raises(RegistryError) as told:
        Registry(None, tmp_path).versions("any")

    for word in ("mlflow.db", "damaged", "trainer register"):
        assert word in str(told.value)


def test_a_version_whose_bundle_is_gone_or_changed_is_not_promoted(registry, tmp_path):
    bundles = [make_bundle(tmp_path, f"g{n}") for n in range(3)]
    gone, changed, good = (registry.register("damaged", b) for b in bundles)
    registry.promote("damaged", good.number)
    shutil.rmtree(gone.path)
    (changed.path / "model.onnx").write_text("another")

    with pytest.raises(BundleError, match=f"{gone.bundle}.*no such folder"):
        registry.promote("damaged", gone.number)
    with pytest.raises(BundleError, match="sha256"):
        registry.promote("damaged", changed.number)

    assert registry.champion("damaged").bundle == good.bundle
    assert len(registry.history("damaged")) == 1
    for bundle in bundles[:2]:
        registry.promote("damaged", registry.register("damaged", bundle).number)


def test_rows_that_people_damaged_in_mlflow_are_told(registry, tmp_path):
    for content in ("h1", "h2", "h3"):
        registry.register("rows", make_bundle(tmp_path, content))
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    for number in (1, 2):
        registry.promote("rows", number)
    client.set_registered_model_tag("rows", "promotion.000001", "{torn")
    client.delete_model_version_tag("rows", "3", "bundle")

    with pytest.raises(RegistryError, match=r"damaged.*promotion\.000001"):
        registry.rollback("rows")
    with pytest.raises(RegistryError, match="version 3 names no bundle"):
        registry.promote("rows", 3)

    assert registry.promote("rows", 1).champion
    client.delete_registered_model_tag("rows", "promotion.000001")
    assert [p.number for p in registry.history("rows")] == [2, 1]


@pytest.fixture
def unused_tcp_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_is_measured_later_is_charted_over_the_rounds_and_no_run_stays_open(
    registry, tmp_path
):
    for content in ("m1", "m2"):
        registry.register("measured", make_bundle(tmp_path, content))
    registry.measured("measured", 1, {"ap": 0.5, "ap50": 0.8}, step=1)
    registry.measured("measured", 1, {"ap": 0.4, "ap50": None}, step=2)
    registry.measured("measured", 2, {"ap": 0.6}, step=2)
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("measured").experiment_id])
    first = client.get_model_version("measured", "1").run_id
    points = client.get_metric_history(first, "ap")

    assert dict(registry.show("measured", 1).metrics) == {"ap": 0.4, "ap50": 0.8}
    assert dict(registry.show("measured", 2).metrics) == {"ap": 0.6}
    assert sorted((point.step, point.value) for point in points) == [(1, 0.5), (2, 0.4)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    with pytest.raises(RegistryError, match="no version matches"):
        registry.measured("measured", 3, {"ap": 0.6}, step=2)
