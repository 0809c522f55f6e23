"""The settings of a round are the configuration's, each written once."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cvat_bridge.assembly import round_settings
from cvat_bridge.config import Config
from cvat_bridge.settings import RoundSettings

GIVEN = {
    "holdout": {"share": 0.1, "subsets": ["test"], "salt": "s", "duplicate_distance": 3},
    "active_learning": {"budget": 7, "seed": 3, "candidate_score": 0.2},
    "rounds": {
        "mode": "rank_existing",
        "finished_stage": "acceptance",
        "job_size": 4,
        "job_list": "oldest_first",
        "assignees": ["ann"],
        "mark_source_deleted": True,
        "guide": False,
        "subset": "train",
    },
    "pre_annotation": {"min_score": 0.3, "min_scores": {"cell": 0.1}},
}
NAMES = {
    "holdout.share": "holdout_share",
    "holdout.subsets": "holdout_subsets",
    "holdout.salt": "holdout_salt",
    "rounds.guide": "write_guide",
    "rounds.subset": "task_subset",
}


@pytest.mark.parametrize(
    ("part", "key"), [(part, key) for part, values in GIVEN.items() for key in values]
)
def test_a_key_of_the_configuration_reaches_the_steps(part, key):
    value = GIVEN[part][key]
    name = NAMES.get(f"{part}.{key}", key)

    found = getattr(round_settings(Config.model_validate({part: {key: value}})), name)

    assert found == (tuple(value) if isinstance(value, list) else value)
    assert found != getattr(RoundSettings(), name)


def test_an_empty_configuration_is_the_defaults():
    found, defaults = round_settings(Config()), RoundSettings()

    rest = {row.name for row in fields(RoundSettings)} - {"selection"}
    assert {n: getattr(found, n) for n in rest} == {n: getattr(defaults, n) for n in rest}
