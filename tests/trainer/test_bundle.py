"""A bundle is what its card says, or it is refused."""

from __future__ import annotations

import json

import pytest

from trainer import engines
from trainer.bundles.bundle import Card, read_bundle, with_metrics, write_bundle
from trainer.data.labels import LabelMap
from trainer.errors import BundleError, ConfigError

CARD = {
    "name": "cells",
    "engine": "centernet",
    "task": "boxes",
    "labels": ["RBC", "WBC"],
    "input_size": (144, 192),
    "min_score": 0.3,
    "class_min_score": {"WBC": 0.5},
    "extra": {"stride": 4},
}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"w" * 5000)
    return path


def test_what_is_written_is_read(tmp_path, weights):
    written = write_bundle(tmp_path / "b", files={"model.onnx": weights}, **CARD)

    read = read_bundle(tmp_path / "b", version=written.version)

    assert read == written
    assert read.card.labels == LabelMap(("RBC", "WBC"))
    assert read.card.input_size == (144, 192)
    assert read.card.min_score_of("WBC") == 0.5
    assert read.card.min_score_of("RBC") == 0.3
    assert read.file("model.onnx").read_bytes() == b"w" * 5000


def test_equal_bundles_have_equal_versions_and_others_do_not(tmp_path, weights):
    first = write_bundle(tmp_path / "a", files={"m": weights}, **CARD)
    again = write_bundle(tmp_path / "b", files={"m": weights}, **CARD, created="2020-01-01")
    lower = write_bundle(tmp_path / "c", files={"m": weights}, **{**CARD, "min_score": 0.2})
    weights.write_bytes(b"other")
    other = write_bundle(tmp_path / "d", files={"m": weights}, **CARD)

    assert first.version == again.version
    assert len({first.version, lower.version, other.version}) == 3


def test_figures_added_later_leave_the_version(tmp_path, weights):
    bundle = write_bundle(tmp_path / "a", files={"m": weights}, **CARD)

    added = with_metrics(bundle, {"ap": 0.5})

    assert added.version == bundle.version
    assert read_bundle(tmp_path / "a").card.metrics == {"ap": 0.5}


def test_changed_weights_are_refused(tmp_path, weights):
    write_bundle(tmp_path / "a", files={"m": weights}, **CARD)
    (tmp_path / "a" / "m").write_bytes(b"w" * 4999 + b"x")

    with pytest.raises(BundleError, match="sha256"):
        read_bundle(tmp_path / "a")
    assert read_bundle(tmp_path / "a", verify=False).card.name == "cells"


def test_changed_card_is_another_version(tmp_path, weights):
    bundle = write_bundle(tmp_path / "a", files={"m": weights}, **CARD)
    card = json.loads((bundle.path / "card.json").read_text())
    (bundle.path / "card.json").write_text(json.dumps(card | {"min_score": 0.01}))

    with pytest.raises(BundleError, match=f"version {bundle.version}"):
        read_bundle(bundle.path, version=bundle.version)


def test_missing_parts_are_told(tmp_path, weights):
    with pytest.raises(BundleError, match="no such folder"):
        read_bundle(tmp_path / "none")
    bundle = write_bundle(tmp_path / "a", files={"m": weights}, **CARD)
    with pytest.raises(BundleError, match="a file other"):
        bundle.file("other")
    (bundle.path / "m").unlink()
    with pytest.raises(BundleError, match="the file m"):
        read_bundle(bundle.path)
    (bundle.path / "card.json").write_text("{")
    with pytest.raises(BundleError, match="JSON"):
        read_bundle(bundle.path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"task": "poems"}, "card.task"),
        ({"min_score": 3}, "card.min_score"),
        ({"class_min_score": {"dog": 0.4}}, "'dog'"),
        ({"labels": ["a", "a"]}, "'a'"),
        ({"files": {"../x": "0"}}, "plain file name"),
        ({"surprise": 1}, "card.surprise"),
        ({"input_size": [1]}, "input_size"),
        ({"format": 99}, "card.format"),
    ],
)
def test_card_that_cannot_be_is_refused_with_the_key(tmp_path, weights, change, fault):
    bundle = write_bundle(tmp_path / "a", files={"m": weights}, **CARD)
    card = json.loads((bundle.path / "card.json").read_text())
    (bundle.path / "card.json").write_text(json.dumps(card | change))

    with pytest.raises(BundleError, match=fault):
        read_bundle(bundle.path)


def test_card_tells_every_fault_at_once():
    with pytest.raises(ConfigError) as error:
        Card("", "", "boxes", LabelMap(("a",)), (0, 0), {}, min_score=2)

    assert len(error.value.faults) == 4


def test_equal_bundle_in_the_way_is_kept_another_is_refused(tmp_path, weights):
    bundle = write_bundle(tmp_path / "a", files={"m": weights}, **CARD)

    assert write_bundle(tmp_path / "a", files={"m": weights}, **CARD).version == bundle.version
    with pytest.raises(BundleError, match="no bundle, or version"):
        write_bundle(tmp_path / "a", files={"m": weights}, **{**CARD, "name": "other"})
    assert read_bundle(tmp_path / "a") == bundle
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "weights.bin"]


def test_failed_write_leaves_nothing(tmp_path, weights):
    with pytest.raises(ConfigError):
        write_bundle(tmp_path / "a", files={"m": weights}, **{**CARD, "task": "poems"})

    assert [p.name for p in tmp_path.iterdir()] == ["weights.bin"]


def test_unknown_engine_and_unreadable_weights_are_told(tmp_path, weights):
    unknown = write_bundle(tmp_path / "a", files={"m": weights}, **{**CARD, "engine": "magic"})
    with pytest.raises(BundleError, match=r"an engine of .*centernet.*magic"):
        engines.load(unknown)
    junk = write_bundle(
        tmp_path / "b",
        files={"model.onnx": weights},
        **{**CARD, "extra": {"stride": 4, "unit": 16}},
    )
    with pytest.raises(BundleError, match="ONNX"):
        engines.load(junk)
