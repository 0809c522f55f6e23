from __future__ import annotations

import pytest

from cvat_bridge.cvat.gateway import Job
from cvat_bridge.errors import ConfigError
from cvat_bridge.ledger.records import SelectedFrame
from cvat_bridge.loop.ranking import cut, rank_existing, task_name
from cvat_bridge.project.facts import PoolFrame
from cvat_bridge.project.markers import is_round_task, round_marker
from cvat_bridge.settings import RoundSettings


def chosen(*numbers):
    return tuple(
        SelectedFrame(rank, 1, n, 1 / rank, "strategy", f"why {n}")
        for rank, n in enumerate(numbers, 1)
    )


def job(number, start, stop):
    return Job(
        number, 1, 1, "annotation", "annotation", "new", None, start, stop, stop - start + 1, "2026"
    )


def pool(*jobs):
    return [
        PoolFrame(f"1/{n}", 1, n, one.id, f"{n}.png", 64, 48, is_video=False)
        for one in jobs
        for n in range(one.start_frame, one.stop_frame + 1)
    ]


def ranked(by, budget=99):
    jobs = [job(10, 0, 3), job(11, 4, 5), job(12, 6, 7)]
    rows = rank_existing(
        chosen(0, 4, 5), pool(*jobs), {one.id: one for one in jobs}, by=by, budget=budget
    )
    return [(row.rank, row.job_id, row.frames) for row in rows]


def test_jobs_are_cut_in_rank_order():
    assert [[row.rank for row in group] for group in cut(chosen(5, 3, 9), 2)] == [[1, 2], [3]]


def test_the_mean_prefers_the_job_that_is_full_of_chosen_frames():
    assert ranked("mean") == [(1, 11, (4, 5)), (2, 10, (0,))]


def test_the_best_frame_decides_where_the_setting_says_so():
    assert ranked("max") == [(1, 10, (0,)), (2, 11, (4, 5))]


def test_no_more_jobs_are_ranked_than_the_budget_has_frames():
    assert ranked("mean", budget=2) == [(1, 11, (4, 5))]


def test_however_long_the_reason_the_marker_stays_in_the_name():
    marker = round_marker("0a1b2c3d", 12)

    name = task_name(12, chosen(0), marker, {"phase": "x" * 400})

    assert len(name) == 256
    assert name.endswith(marker)
    assert is_round_task(name)
    assert not is_round_task("Round 12 of something")


def test_no_marker_is_part_of_another():
    assert round_marker("0a1b2c3d", 1) not in f"name {round_marker('0a1b2c3d', 11)}"


def test_every_fault_of_the_settings_is_told_at_once():
    with pytest.raises(ConfigError) as told:
        RoundSettings(
            budget=0, min_score=2.0, min_scores={"cell": -1.0}, task_subset="holdout", job_size=0
        )

    assert len(told.value.faults) == 5
