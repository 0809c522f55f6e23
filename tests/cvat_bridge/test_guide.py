"""What annotators read in the guide: which job first, what to look at, how long it takes."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from cvat_bridge.ledger.records import RankedJob, Round
from cvat_bridge.loop.people.guide_section import section
from cvat_bridge.loop.people.job_notes import FrameView, JobNote, in_minutes, note
from cvat_bridge.loop.people.summaries import (
    interactor_of,
    job_lines,
    newest_interactor,
    ranked_work,
    work_of,
)
from cvat_bridge.settings import RoundSettings

JOBS = [
    RankedJob(1, 31, 7, (4, 5), (0.9, 0.8), "ranks 1-2: least sure of shark at 0.49"),
    RankedJob(2, 30, 7, (2, 3), (0.7, 0.6), "ranks 3-4: unlike what is labelled"),
]


def test_a_job_says_in_which_frame_to_look_for_what():
    told = note(
        [
            FrameView(10, {"shark": 0.49}, {}, 20.0),
            FrameView(11, {"ray": 0.95}, {"turtle": 0.3, "fish": 0.25}, 30.0),
            FrameView(12, {"ray": 0.95}, {}, 5.0),
        ],
        frames=3,
    )

    assert told.look_at == (
        "Check what is drawn, and draw what is missing. Frame 10: is “shark” right? "
        "Frame 11: look for “fish” and “turtle”."
    )
    assert told.seconds == 55.0


def test_a_job_without_anything_drawn_says_so():
    assert note([FrameView(0), FrameView(1)], frames=2) == JobNote(
        2, "Nothing is drawn yet: draw every object.", None
    )


def test_only_the_most_doubtful_frames_are_named_in_their_order():
    views = [FrameView(n, {"cell": 0.70 - n / 100}) for n in range(9)]

    told = note(views, frames=9).look_at

    assert re.findall(r"Frame (\d)", told) == ["5", "6", "7", "8"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "unknown"), (20, "under 1 min"), (61, "about 1 min"), (100, "about 2 min")],
)
def test_time_is_told_as_people_do(seconds, told):
    assert in_minutes(seconds) == told


def test_the_table_speaks_no_engineers_words_and_breaks_at_no_name():
    notes = {31: JobNote(10, "Frame 4: is “a|b\n<i>” right?", 130.0)}

    text = section(JOBS, number=3, settings=RoundSettings(), notes=notes)

    (row,) = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert row == (
        "| 1 | [job 31](/tasks/7/jobs/31) | 10 | about 2 min | Frame 4: is “a\\|b \\<i\\>” right? |"
    )
    assert "least sure" not in text
    assert "not in this table" in text


def test_it_says_where_the_order_is_seen():
    newest = section(JOBS, number=3, settings=RoundSettings())
    oldest = section(JOBS, number=3, settings=RoundSettings(job_list="oldest_first"))
    existing = section(JOBS, number=3, settings=RoundSettings(mode="rank_existing"))

    assert "begin at the top" in newest
    assert "lowest job number" in oldest
    query = parse_qs(urlsplit(re.search(r"\((/jobs\?[^)]+)\)", existing)[1]).query)
    assert query["sort"] == ["-updated_date"]
    assert json.loads(query["filter"][0]) == {
        "or": [{"==": [{"var": "id"}, 31]}, {"==": [{"var": "id"}, 30]}]
    }


def figures(task_id):
    return {
        "selected": 6,
        "task_id": task_id,
        "jobs": [
            {"id": 31, "task_id": 7, "frames": [4, 5], "scores": [], "reason": "least sure"},
            {"id": 30, "task_id": 7, "frames": [2], "scores": [], "reason": "unlike"},
        ],
        "job_notes": {
            "31": {"frames": 10, "look_at": "Frame 4: is “a” right?", "seconds": 130.0},
            "30": {"frames": 10, "look_at": "", "seconds": None},
        },
    }


def test_a_round_says_which_jobs_hold_what_it_chose():
    assert work_of(figures(7)) == (
        "6 frames chosen, in 2 jobs of task 7: job 31, 30 (the most valuable first)."
    )
    assert work_of(figures(None)) == (
        "6 frames chosen, in 2 jobs that existed already, with 20 frames together: job 31, 30 "
        "(the most valuable first)."
    )
    assert work_of({"selected": 0, "reason": "the pool is empty"}) == "the pool is empty"


def test_status_gives_the_jobs_in_order_with_what_engineers_read_too():
    rounds = [Round(1, 1, "done", figures=figures(7)), Round(2, 1, "fit")]

    jobs = ranked_work(rounds)

    assert [(job["rank"], job["id"], job["all_frames"]) for job in jobs] == [
        (1, 31, 10),
        (2, 30, 10),
    ]
    assert jobs[0]["reason"] == "least sure"
    assert job_lines(jobs) == [
        "1. job 31 of task 7: 10 frames, about 2 min",
        "2. job 30 of task 7: 10 frames, unknown",
    ]


def test_an_interactor_that_was_learnt_is_told_with_its_figures():
    learnt = {"promoted": True, "iou4": {"champion": 0.74, "challenger": 0.81}}
    worse = {"promoted": False, "iou4": {"champion": 0.74, "challenger": 0.70}}

    assert "serves: IoU 0.810 after four clicks, 0.740 for the one before" in interactor_of(learnt)
    assert "does not serve: IoU 0.700 after four clicks, 0.740" in interactor_of(worse)
    assert interactor_of({"promoted": False, "iou4": {}}) == interactor_of(None) == ""
    rounds = [Round(3, 1, "done", figures={"interactor": learnt}), Round(4, 1, "done")]
    assert newest_interactor(rounds).startswith("Round 3: An interactor was learnt")
