"""A fit with a base says where it comes from and what it gained; real fits of a few steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.shapes import shapes_dataset
from trainer.bundles.bundle import read_bundle, with_card
from trainer.cli.model_page import model_json, model_page
from trainer.data.files import file_sha256
from trainer.detector import FitConfig
from trainer.errors import BundleError, ConfigError
from trainer.runs.provenance import with_provenance
from trainer.runs.run import FitResult, run_fit

ROOT = Path(__file__).parents[2]
SMALL = {"image_size": (48, 64), "batch_size": 4}


def fit(data: Path, out: Path, *, base: Path | None = None, steps: int, **asked) -> FitResult:
    config = FitConfig("centernet", base=base, extra={"width": 8, "steps": steps}, **SMALL)
    return run_fit(data, config, out, report=lambda _: None, **asked)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = shapes_dataset(tmp_path_factory.mktemp("gain") / "data", train=8, holdout=6).path
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"project": 7, "jobs": [{"job": 31, "task": 4, "updated_date": "2026-01-02"}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory, data) -> FitResult:
    return fit(data, tmp_path_factory.mktemp("base") / "run", steps=60)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, data, base) -> FitResult:
    out = tmp_path_factory.mktemp("tuned") / "run"
    return fit(data, out, base=base.bundle.path, steps=2, against_scratch=True)


def test_a_fit_with_a_base_is_held_against_it_and_against_scratch_on_the_same_frames(base, tuned):
    over_base, over_scratch = tuned.gains
    assert base.gains == ()
    assert over_base.over == "base"
    assert over_base.ap == base.evaluation.ap
    assert over_base.reached == over_scratch.reached == tuned.evaluation.ap
    assert over_base.gain == pytest.approx(over_base.reached - over_base.ap)
    assert over_base.low <= over_base.gain <= over_base.high
    # Two steps from nothing find nothing, so all that the fit knows is its base's.
    assert over_scratch.ap < base.evaluation.ap
    assert over_scratch.gain > 0
    assert "gain over a fit from scratch: +" in str(over_scratch)


def test_the_gains_stay_in_the_report_the_card_and_the_folder(data, base, tuned, tmp_path):
    out = tuned.bundle.path.parent
    again = fit(data, out, base=base.bundle.path, steps=2, against_scratch=True)
    told = json.loads(json.dumps(tuned.to_json()))["gains"]

    assert again.gains == tuned.gains
    assert [row["over"] for row in told] == ["base", "scratch"]
    assert read_bundle(tuned.bundle.path).card.metrics["gains"] == told


def test_a_base_of_other_classes_says_which_it_lacks(data, base, tmp_path):
    other = with_other_labels(tmp_path / "data", data)
    found = fit(other, tmp_path / "run", base=base.bundle.path, steps=2)

    assert found.gains[0].ap is not None
    assert "the base lacks star" in str(found.gains[0])


def with_other_labels(folder: Path, data: Path) -> Path:
    folder.mkdir()
    (folder / "images").symlink_to(data / "images")
    coco = json.loads((data / "annotations.json").read_text())
    coco["categories"][1]["name"] = "star"
    (folder / "annotations.json").write_text(json.dumps(coco))
    return folder


def test_against_scratch_without_a_base_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match="needs --base"):
        fit(tmp_path / "nowhere", tmp_path / "run", steps=2, against_scratch=True)


def test_the_card_names_data_jobs_base_settings_and_code(data, base, tuned):
    origin = read_bundle(tuned.bundle.path).card.provenance
    files = base.bundle.card.files

    assert origin["dataset"] == tuned.bundle.card.dataset
    assert origin["frames"]["train"] == 8
    assert origin["source"]["jobs"][0]["job"] == 31
    assert origin["base"] == {
        "name": base.bundle.card.name,
        "version": base.bundle.version,
        "sha256": dict(files),
    }
    assert files["model.onnx"] == file_sha256(base.bundle.path / "model.onnx")
    assert origin["settings"]["extra"] == {"width": 8, "steps": 2}
    assert origin["code"]["package"] == "cvat-active-learning"
    assert origin["code"]["commit"] is None or len(origin["code"]["commit"]) == 40
    assert "torch" in origin["libraries"]
    assert base.bundle.card.provenance["base"] is None


def test_where_a_model_comes_from_is_no_part_of_its_version_but_what_it_answers_is(base):
    named = with_provenance(base.bundle, {"strategy": "margin", "round": 3})

    assert named.version == base.bundle.version
    assert read_bundle(base.bundle.path).card.provenance["strategy"] == "margin"
    assert read_bundle(base.bundle.path).card.provenance["frames"]["train"] == 8
    with pytest.raises(BundleError, match="expected version"):
        with_card(base.bundle, min_score=0.9)


def test_show_prints_all_of_it_as_text_and_as_json(tuned):
    command = [sys.executable, "-m", "trainer", "show", str(tuned.bundle.path)]
    shown = [
        subprocess.run(
            [*command, *more], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for more in ([], ["--json"])
    ]
    values = json.loads(shown[1])
    origin = values["provenance"]

    assert values == json.loads(json.dumps(model_json(read_bundle(tuned.bundle.path))))
    for word in (
        values["version"],
        "boxes of disc, square",
        origin["dataset"],
        "31 (of 2026-01-02)",
        origin["base"]["version"],
        origin["base"]["sha256"]["model.onnx"],
        "learning_rate: 0.001",
        origin["code"]["version"],
        "class_ap50",
    ):
        assert str(word) in shown[0]


def test_what_is_not_known_of_a_model_is_said_not_left_out(base):
    bare = with_card(base.bundle, provenance={})
    page = model_page(model_json(bare))

    for line in ("jobs", "strategy", "base weights", "code"):
        assert any(row.split() == [*f"{line}:".split(), "unknown"] for row in page.splitlines())
