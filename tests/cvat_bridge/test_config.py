"""The configuration file: what is wrong is said, all at once, before anything runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from active_learning.choose import SelectionSettings
from cvat_bridge.assembly import round_settings
from cvat_bridge.config import Config, load_config, load_secrets
from cvat_bridge.errors import ConfigError
from trainer.calibration.worth import OUTLINE_SECONDS
from trainer.gate.gate_settings import GateSettings


def write(folder: Path, text: str) -> Path:
    path = folder / "bridge.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_gives_the_defaults_and_a_home_beside_it(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, ""))

    assert config.home == tmp_path / ".cvat-bridge"
    assert config.active_learning.control_share == 0.10


def test_every_fault_is_reported_with_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "cvat: {url: cvat.local, projekt: 3}\n"
        "active_learning: {budget: 0}\n"
        "trainer: {epochs: many}\n",
    )

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    faults = "\n".join(caught.value.faults)
    assert len(caught.value.faults) >= 3
    assert "cvat.projekt: unknown key; did you mean 'project'? there are" in faults
    assert "active_learning.budget" in faults and "found 0" in faults
    assert "trainer.epochs" in faults and "'many'" in faults


def test_an_address_without_scheme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must begin with http"):
        load_config(write(tmp_path, "cvat: {url: localhost:8080}"))


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just words"])
def test_a_file_that_is_not_sections_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="bridge.yaml"):
        load_config(write(tmp_path, text))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cvat-bridge init"):
        load_config(tmp_path / "absent.yaml")


def test_two_settings_have_two_hashes(tmp_path: Path) -> None:
    one = load_config(write(tmp_path, "active_learning: {budget: 5}"))
    two = load_config(write(tmp_path, "active_learning: {budget: 6}"))

    assert one.hash != two.hash


def test_secrets_hide_themselves_when_printed() -> None:
    secrets = load_secrets({"CVAT_ACCESS_TOKEN": "hush-hush"})

    assert "hush-hush" not in repr(secrets)
    assert secrets.access_token is not None
    assert secrets.access_token.get_secret_value() == "hush-hush"


def test_no_way_to_log_in_is_a_fault_that_names_the_variables() -> None:
    with pytest.raises(ConfigError, match="CVAT_ACCESS_TOKEN"):
        load_secrets({"CVAT_USERNAME": "anna"})


SELECTION = {
    "strategy": "entropy_sum",
    "cold_start": "probcover",
    "min_labelled": 3,
    "control_share": 0.2,
    "weak_share": 0.3,
    "control_warmup_frames": 9,
    "cap_per_group": 2,
    "class_need": 0.5,
    "class_quotas": {"cell": 2},
    "near_duplicate": 0.2,
    "candidates": 2.5,
    "min_confidence": 0.2,
    "k": 5,
    "empty_frame_quantile": 0.5,
    "gain_per_second": True,
    "cost": {"frame": 9.0, "verify": 2.0, "fix": 7.0, "add": 12.0, "delete": 3.0},
    "stop_gain": 0.01,
}


def test_without_a_word_the_loop_chooses_as_the_library_does(tmp_path: Path) -> None:
    chosen = round_settings(load_config(write(tmp_path, ""))).selection

    for field in dataclasses.fields(SelectionSettings):
        assert getattr(chosen, field.name) == getattr(SelectionSettings(), field.name)


def test_what_a_library_reads_is_what_the_file_is_validated_into(tmp_path: Path) -> None:
    """So that no field is copied by hand and no default is written twice."""
    config = load_config(write(tmp_path, "promotion: {min_gain: 0.02}\n"))

    assert isinstance(config.active_learning, SelectionSettings)
    assert round_settings(config).selection is config.active_learning
    assert config.promotion == GateSettings(min_gain=0.02)
    assert Config().promotion == GateSettings()
    assert Config().pre_annotation.outline == OUTLINE_SECONDS


def test_every_setting_of_the_library_is_set_by_name(tmp_path: Path) -> None:
    """A setting that the file cannot reach, or that gets lost on the way, is found here."""
    assert set(SELECTION) == {field.name for field in dataclasses.fields(SelectionSettings)}
    for name, value in SELECTION.items():
        config = load_config(write(tmp_path, json.dumps({"active_learning": {name: value}})))

        found = getattr(round_settings(config).selection, name)
        found = dataclasses.asdict(found) if name == "cost" else found

        assert found == (
            {**value, "shown_from": 0.5} if isinstance(value, dict) and name == "cost" else value
        )


@pytest.mark.parametrize("setting", ["strategy", "cold_start"])
def test_a_name_that_no_strategy_has_lists_the_names_there_are(
    tmp_path: Path, setting: str
) -> None:
    path = write(tmp_path, json.dumps({"active_learning": {setting: "hardest"}}))

    with pytest.raises(ConfigError, match=r"no strategy 'hardest'.*uncertainty_diversity"):
        round_settings(load_config(path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("candidates", 0.5),
        ("k", 0),
        ("empty_frame_quantile", 2),
        ("control_warmup_frames", -1),
        ("cost", {"fix": -1}),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, name: str, value: object) -> None:
    path = write(tmp_path, json.dumps({"active_learning": {name: value}}))

    with pytest.raises(ConfigError, match=f"active_learning.{name}"):
        load_config(path)


def test_keys_of_version_0_1_are_read_with_a_warning_each(tmp_path: Path) -> None:
    old = {
        "active_learning": {"believed": 0.2, "warm_up": 9, "empty_place": 0.5, "budget": 3},
        "promotion": {"min_first": 0.25},
    }

    with pytest.warns(FutureWarning) as found:
        config = load_config(write(tmp_path, json.dumps(old)))

    chosen = config.active_learning
    assert (chosen.min_confidence, chosen.control_warmup_frames) == (0.2, 9)
    assert (chosen.empty_frame_quantile, chosen.budget) == (0.5, 3)
    assert config.promotion == GateSettings(min_first_metric=0.25)
    texts = sorted(str(warning.message).partition("bridge.yaml: ")[2] for warning in found)
    pairs = [
        ("active_learning", "believed", "min_confidence"),
        ("active_learning", "empty_place", "empty_frame_quantile"),
        ("active_learning", "warm_up", "control_warmup_frames"),
        ("promotion", "min_first", "min_first_metric"),
    ]
    assert [text.partition(";")[0] for text in texts] == [
        f"{section}: {before} is now called {after}" for section, before, after in pairs
    ]
