"""Every fault of a configuration is found at once, with what was probably meant."""

from __future__ import annotations

import math

import pytest
import yaml

from cvat_bridge.cli.config_faults import read_checked
from cvat_bridge.errors import ConfigError
from tests.fakes.wrong_settings import WRONG


def written(tmp_path, values):
    """Write dotted keys as a configuration; return its path."""
    content = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = math.nan if value == ".nan" else value
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def found(path):
    with pytest.raises(ConfigError) as told:
        read_checked(path)
    return told.value.faults


def test_forty_wrong_values_are_all_found_at_once(tmp_path):
    assert len(WRONG) == 40

    faults = found(written(tmp_path, WRONG))

    missed = [key for key in WRONG if not any(names(fault, key) for fault in faults)]
    assert missed == []


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_alone_is_the_only_fault(tmp_path, key):
    faults = found(written(tmp_path, {key: WRONG[key]}))

    assert [names(fault, key) for fault in faults] == [True]


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("trainer.backend", "yolov8", "yolo"),
        ("trainer.backend", "CenterNet", "centernet"),
        ("active_learning.strategy", "kcenter", "k_center"),
        ("cvat.organisation", "team", "organization"),
        ("trainer.learning_rte", 0.1, "learning_rate"),
        ("promotion.max_clas_drop", 0.1, "max_class_drop"),
    ],
)
def test_what_was_meant_is_named(tmp_path, key, value, meant):
    (fault,) = found(written(tmp_path, {key: value}))

    assert f"did you mean {meant!r}" in fault


def test_a_right_configuration_has_no_fault(tmp_path):
    values = {
        "cvat.url": "https://cvat.example.org/",
        "cvat.project": 3,
        "trainer.device": "cuda:1",
    }

    assert read_checked(written(tmp_path, values)).cvat.project == 3


@pytest.mark.parametrize("url", ["http://ann:secret@cvat.example.org", "https://x:y@h:8080/p"])
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path, url):
    (fault,) = found(written(tmp_path, {"function_host.url": url}))

    assert "credentials" in fault
    assert "secret" not in fault
    assert "x:y" not in fault


def names(fault: str, key: str) -> bool:
    """Whether a fault is about a key: by its dotted name, or as a setting of its section."""
    section, _, name = key.rpartition(".")
    return key in fault or f"{section}: {name}" in fault
