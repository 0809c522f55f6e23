"""What `status` tells of this moment, and how a fit is told of while it learns."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cvat_bridge.assembly import BridgeView
from cvat_bridge.cli.app import app
from cvat_bridge.cli.display.status import print_status
from cvat_bridge.ledger.records import Decision, Provenance, Round
from cvat_bridge.loop.live_status.fit_progress import current_fit, fit_lines
from cvat_bridge.loop.live_status.waiting_people import WaitingPerson, waiting_people
from cvat_bridge.loop.status import describe
from cvat_bridge.models.serving import Serving
from tests.fakes.spots import Spots, spotted
from trainer.detector import Progress
from trainer.events import EventLog
from trainer.runs.run_folder import locked

FIT = {"event": "progress", "stage": "fit", "total": 300, "seconds_left": 41.2}


@pytest.fixture
def spots(home, ledger):
    """A project whose first round gave six ranked frames, two of them to ann."""
    spots = Spots(home, ledger, {"red": lambda _: True}, train=4, holdout=3, pool=9)
    server = spots.server
    copies = {f"{n}.png": spotted(n) for n in range(6)}
    task = server.add_task(spots.project.id, copies, name="round 1", segment_size=2)
    ledger.add_provenance(
        Provenance(task.id, n, spots.pool.id, n, 1, n + 1, 0.5, "strategy", "unsure")
        for n in range(6)
    )
    ledger.save_round(Round(1, spots.project.id, "done", figures={"selected": 6}))
    spots.ranked = server.jobs_of(task.id)
    ann = server.add_user("ann")
    spots.parts.gateway.update_job(spots.ranked[1].id, assignee=ann.id)
    return spots


def test_the_outlook_counts_frames_and_names_whom_the_loop_waits_for(spots):
    found = BridgeView(spots.parts.config, spots.parts).live_status()

    first, second, third = (job.id for job in spots.ranked)
    assert (found["labelled"], found["held_out"], found["new"], found["pool"]) == (7, 3, 7, 3)
    assert found["waiting"] == [
        {"who": "ann", "jobs": (second,), "frames": 2},
        {"who": None, "jobs": (first, third), "frames": 4},
    ]
    assert found["open"] == []
    assert found["next"]["kind"] == "wait"
    assert "people have 6 ranked frames before them" in found["next"]["reason"]


def test_a_finished_ranked_job_is_waited_for_no_longer(spots):
    spots.server.finish(spots.ranked[1].id)
    found = BridgeView(spots.parts.config, spots.parts).live_status()

    assert [row["who"] for row in found["waiting"]] == [None]


def test_a_frame_in_the_overlap_of_two_jobs_is_counted_once(server):
    project = server.add_project("cells", ["cell"])
    images = {f"{n}.png": spotted(n) for n in range(4)}
    task = server.add_task(project.id, images, segment_size=2)
    jobs = server.jobs_of(task.id)

    assert waiting_people({f"{task.id}/1", f"{task.id}/2", "99/0"}, [*jobs, *jobs]) == (
        WaitingPerson(None, (jobs[0].id, jobs[1].id), 2),
    )


def test_the_status_fits_into_80_columns_and_no_row_is_broken(spots, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parts = spots.parts
    for number in range(2, 13):
        figures = {
            "labelled_frames": 123456,
            "champion": {"ap": 0.5},
            "challenger": {"ap": 0.123},
            "promoted": True,
            "selected": 500,
            "task_id": 1234567,
        }
        parts.ledger.save_round(Round(number, spots.project.id, "preannotate", figures=figures))
    long = "the holdout is small, so the gain may be chance; " * 6
    parts.ledger.save_decision(
        Decision(2, "", "a" * 64, True, (long,), {"challenger": {"ap": 0.4, "ap50": 0.7}}, "now")
    )
    found = describe(parts.ledger, spots.project.id, Serving("a" * 64, (long, "x" * 200)))
    found["now"] = BridgeView(parts.config, parts).live_status()
    found["learning"] = {"run": "round-12-" + "f" * 12, "figures": "step 1 of 300, loss 2.31"}

    print_status(found)

    lines = capsys.readouterr().out.splitlines()
    rounds = [line for line in lines if "preannotate" in line and "promoted" in line]
    assert max(map(len, lines)) <= 80
    assert len(rounds) == 11
    assert all(line.split()[-1] == "1234567" for line in rounds)
    text = " ".join(" ".join(lines).split())
    assert "serves aaaaaaaaaaaa: AP 0.400, AP50 0.700 on the holdout of round 2" in text
    assert "waits for ann: 2 ranked frames in job" in text
    assert "waits for nobody yet: 4 ranked frames in jobs" in text
    assert "step 1 of 300, loss 2.31" in text


def test_a_cvat_that_cannot_be_asked_leaves_the_rest_of_the_status(tmp_path, monkeypatch):
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "token")
    path = tmp_path / "bridge.yaml"
    path.write_text("home: home\ncvat: {project: 1, url: 'http://127.0.0.1:9'}\n")
    (tmp_path / "home").mkdir()

    shown = CliRunner().invoke(app, ["status", "-c", str(path)])
    answer = CliRunner().invoke(app, ["status", "--json", "-c", str(path)])

    assert (shown.exit_code, answer.exit_code) == (0, 0)
    assert "could not be asked" in shown.stdout
    assert "no model yet" in shown.stdout
    assert json.loads(answer.stdout)["now"].keys() == {"unknown"}


def test_a_fit_at_work_is_told_with_its_step_loss_ap_and_time(tmp_path):
    run = tmp_path / "round-1-abc"
    run.mkdir()
    events = EventLog(run)
    events.progress(Progress("val", 3, 3, figures={"ap": 0.25}))
    events.progress(Progress("fit", 300, 300, seconds_left=125.0, figures={"loss": 1.2345}))

    with locked(run, "centernet"):
        name, learning = current_fit(tmp_path)

    assert name == "round-1-abc"
    assert str(learning) == "step 300 of 300, loss 1.23, AP 0.250, 2 min left"
    assert current_fit(tmp_path) is None


def test_lines_of_a_fit_come_every_so_often_and_at_each_ap_and_at_the_end():
    said, now = [], [0.0]
    told = fit_lines(said.append, every=150.0, clock=lambda: now[0])
    for step in range(1, 301):
        now[0] += 1.0
        told({**FIT, "done": step, "figures": {"loss": 2.0}})
        if step == 10:
            told({**FIT, "stage": "val", "done": 4, "total": 4, "figures": {"ap": 0.5}})
    told({"event": "note", "text": "not of learning"})

    assert said == [
        "step 1 of 300, loss 2, 41 s left",
        "step 10 of 300, loss 2, AP 0.500, 41 s left",
        "step 160 of 300, loss 2, AP 0.500, 41 s left",
        "step 300 of 300, loss 2, AP 0.500, 41 s left",
    ]
