"""Labels that are renamed or deleted in CVAT reach what the function host shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.models.entries import entry_for
from cvat_bridge.models.relabelling import gone, relabel, remember
from cvat_bridge.models.trial import TrialResult, doubt_of
from serverless.store.functions import entries, publish
from tests.serverless.bright_spots import bright_spots

BEFORE = (Label(7, "red", "rectangle"), Label(8, "green", "rectangle"))
RENAMED = (Label(7, "stop", "rectangle"), Label(8, "green", "rectangle"))


def offered(tmp_path: Path, *, kept: bool = True) -> Path:
    """Publish a model for project 3 and return the store."""
    bundle = bright_spots(tmp_path / "bundle")
    entry = replace(
        entry_for("mine", "mine", bundle.card, bundle.path, BEFORE), version=bundle.version
    )
    store = tmp_path / "store"
    publish(store, entry)
    if kept:
        remember(store, entry, 3, BEFORE)
    return store


def shown(store: Path) -> list[tuple[str, str]]:
    (entry,) = entries(store)
    return [(label.source, label.name) for label in entry.labels]


def test_a_renamed_label_keeps_its_class_by_its_id(tmp_path: Path) -> None:
    store = offered(tmp_path)
    assert gone(store, 3, "champion", RENAMED) == {"mine": ["red"]}

    assert [entry.id for entry in relabel(store, 3, "champion", RENAMED)] == ["mine"]

    assert shown(store) == [("red", "stop"), ("green", "green")]
    assert gone(store, 3, "champion", RENAMED) == {}
    assert relabel(store, 3, "champion", RENAMED) == []


def test_a_second_renaming_and_a_change_of_type_are_followed(tmp_path: Path) -> None:
    store = offered(tmp_path)
    relabel(store, 3, "champion", RENAMED)
    relabel(store, 3, "champion", (Label(7, "halt", "any"), RENAMED[1]))
    (entry,) = entries(store)
    assert [(label.name, label.type) for label in entry.labels] == [
        ("halt", "any"),
        ("green", "rectangle"),
    ]


def test_a_deleted_label_is_shown_no_more(tmp_path: Path) -> None:
    store = offered(tmp_path)
    relabel(store, 3, "champion", BEFORE[1:])
    assert shown(store) == [("green", "green")]


def test_models_of_other_projects_are_left_alone(tmp_path: Path) -> None:
    store = offered(tmp_path)
    assert relabel(store, 4, "champion", RENAMED) == []
    assert gone(store, 4, "champion", RENAMED) == {}
    assert shown(store) == [("red", "red"), ("green", "green")]


def test_a_store_of_before_is_followed_by_the_registrys_ids(tmp_path: Path) -> None:
    store = offered(tmp_path, kept=False)
    assert gone(store, 3, "mine", RENAMED) == {"mine": ["red"]}
    relabel(store, 3, "mine", RENAMED, ids=lambda: {"red": 7, "green": 8})
    assert shown(store) == [("red", "stop"), ("green", "green")]


@pytest.mark.parametrize(
    ("trial", "real", "doubted"),
    [
        (TrialResult(0, 0.01, 0.1), True, True),
        (TrialResult(0, None, 0.1), True, True),
        (TrialResult(2, 0.9, 0.1), True, False),
        (TrialResult(0, None, 0.1), False, False),
        (TrialResult(0, 0.2, 0.1), False, False),
        (TrialResult(0, 0.01, 0.1), False, True),
    ],
)
def test_a_model_that_answers_nothing_on_a_real_frame_is_doubted(
    tmp_path: Path, trial: TrialResult, real: bool, doubted: bool
) -> None:
    said = doubt_of(trial, bright_spots(tmp_path / "bundle").card, real=real)
    assert bool(said) == doubted
    assert not doubted or "--sample" in said
