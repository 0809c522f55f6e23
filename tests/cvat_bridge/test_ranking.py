from __future__ import annotations

import pytest

from cvat_bridge.cvat.gateway import Frame, Job, Media
from cvat_bridge.errors import ConfigError
from cvat_bridge.ledger.records import SelectedFrame
from cvat_bridge.loop.ranking import cut, file_name, rank_existing, task_name
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


def ranked(by):
    jobs = [job(10, 0, 3), job(11, 4, 5), job(12, 6, 7)]
    rows = rank_existing(chosen(0, 4, 5), pool(*jobs), {one.id: one for one in jobs}, by=by)
    return [(row.rank, row.job_id, row.frames) for row in rows]


def test_jobs_are_cut_in_rank_order():
    assert [[row.rank for row in group] for group in cut(chosen(5, 3, 9), 2)] == [[1, 2], [3]]


def test_the_mean_prefers_the_job_that_is_full_of_chosen_frames():
    assert ranked("mean") == [(1, 11, (4, 5)), (2, 10, (0,))]


def test_the_best_frame_decides_where_the_setting_says_so():
    assert ranked("max") == [(1, 10, (0,)), (2, 11, (4, 5))]


def test_the_ranked_jobs_hold_every_chosen_frame():
    """However few frames a round takes: six over four jobs are four jobs."""
    jobs = [job(10 + n, 10 * n, 10 * n + 9) for n in range(4)]
    frames = chosen(0, 12, 20, 21, 22, 39)

    rows = rank_existing(frames, pool(*jobs), {one.id: one for one in jobs}, by="mean")

    assert sorted(frame for row in rows for frame in row.frames) == [0, 12, 20, 21, 22, 39]
    assert [row.job_id for row in rows] == [12, 10, 11, 13]


def test_a_rounds_task_says_where_to_begin_and_is_known_by_its_name():
    marker = round_marker("0a1b2c3d", 12)

    top = task_name(12, 50, marker, "newest_first")
    low = task_name(12, 50, marker, "oldest_first")

    assert top == f"Round 12: 50 frames, begin with the top job {marker}"
    assert low == f"Round 12: 50 frames, begin with the lowest job number {marker}"
    assert is_round_task(top) and is_round_task(low)
    assert not is_round_task("Round 12 of something")


def test_no_marker_is_part_of_another():
    assert round_marker("0a1b2c3d", 1) not in f"name {round_marker('0a1b2c3d', 11)}"


def test_every_fault_of_the_settings_is_told_at_once():
    with pytest.raises(ConfigError) as told:
        RoundSettings(
            budget=0, min_score=2.0, min_scores={"cell": -1.0}, task_subset="holdout", job_size=0
        )

    assert len(told.value.faults) == 5


@pytest.mark.parametrize(
    ("own", "copied"),
    [
        ("frame_07.JPG", "0003_frame_07.JPG"),
        ("dive 3/left/frame_07.jpg", "0003_dive 3__left__frame_07.jpg"),
        ("Öl/泡🫧.png", "0003_Öl__泡🫧.png"),
        ("0001_frame.png", "0003_0001_frame.png"),
        ("scan.jfif", "0003_scan.jfif.png"),
        ('5" R&D.png', "0003_5_ R&D.png"),
        ("a&amp;b.png", "0003_a_amp;b.png"),
        ("back\\slash\u00a0x.png", "0003_back_slash_x.png"),
    ],
)
def test_a_copy_keeps_the_name_of_its_frame(own, copied):
    assert file_name(frame(3), named(own)) == copied


def test_two_frames_of_one_name_do_not_clash():
    one, other = frame(1), frame(2, task=9)

    assert file_name(one, named("a.png")) != file_name(other, named("a.png"))


def test_a_name_that_is_too_long_for_a_disk_keeps_its_end():
    name = file_name(frame(1), named("泡" * 100 + "/007.png"))

    assert name.startswith("0001_泡") and name.endswith("泡__007.png")
    assert len(name.encode()) <= 255


def named(name, *, is_video=False):
    frames = (Frame(0, name, 64, 48),)
    return Media(1, frames, frozenset(), "local", None, is_video, 36)


def frame(rank, task=1):
    return SelectedFrame(rank, task, 0, 0.5, "strategy", "why")
