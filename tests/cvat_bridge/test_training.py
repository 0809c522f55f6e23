"""Training by hand: parts of a project are chosen, pulled, learnt from and watched."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient

from cvat_bridge.config import TrainerSection
from cvat_bridge.errors import ConfigError
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import pull
from cvat_bridge.service.run_events import add_run_routes
from cvat_bridge.settings import RoundSettings
from cvat_bridge.training.asked import trainer_settings
from cvat_bridge.training.choice import TrainingChoice, TrainingPart
from cvat_bridge.training.fitting import FitFailedError, fit_file, run_fit
from cvat_bridge.training.manual import check_training, keep_test_part, register, snapshot
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from trainer.bundles.bundle import read_bundle
from trainer.events import read_events
from trainer.registry.registry import Registry
from trainer.runs.fit_settings import fit_config, read_yaml

TINY = TrainerSection.of(
    {
        "backend": "centernet",
        "batch_size": 4,
        "image_size": (48, 64),
        "extra": {"steps": 3, "width": 8},
    }
)


@pytest.fixture
def project(server):
    """Three finished tasks of two jobs each, in two subsets; a fourth that nobody finished."""
    project = server.add_project("cells", ["cell"])
    label = server.label(project.id, "cell").id
    for place, subset in enumerate(("Train", "Train", "Test")):
        images = {f"{n}.png": picture(n) for n in range(place * 4, place * 4 + 4)}
        task = server.add_task(project.id, images, segment_size=2, subset=subset)
        for job in server.jobs_of(task.id):
            for frame in range(job.start_frame, job.stop_frame + 1):
                shape = {
                    "type": "rectangle",
                    "frame": frame,
                    "label_id": label,
                    "points": [4.0, 5.0, 31.0, 22.0],
                }
                server.annotate(job.id, shapes=[shape])
            server.finish(job.id)
    server.add_task(project.id, {"late.png": picture(99)}, subset="Train")
    return project


def pulled(server, ledger, project, home, choice, settings=None):
    return snapshot(
        FakeGateway(server),
        ledger,
        project.id,
        choice,
        home=home,
        settings=settings or RoundSettings(holdout_share=0.25),
        now="2026-02-01T00:00:00",
    )


def tasks(found, split):
    return {image.extra["task"] for image in found.dataset.split(split)}


def task_ids(server, project):
    return [task.id for task in FakeGateway(server).tasks(project.id)]


def test_named_parts_are_learnt_from_and_tested_on_and_nothing_else(server, ledger, project, home):
    first, _, third, _ = task_ids(server, project)
    by_task = pulled(
        server,
        ledger,
        project,
        home,
        TrainingChoice(TrainingPart(tasks=(first,)), TrainingPart(tasks=(third,))),
    )
    by_subset = pulled(
        server,
        ledger,
        project,
        home,
        TrainingChoice(TrainingPart(subsets=("Train",)), TrainingPart(subsets=("Test",))),
    )
    job = server.jobs_of(first)[1]
    by_job = pulled(
        server,
        ledger,
        project,
        home,
        TrainingChoice(TrainingPart(tasks=(first,)), TrainingPart(jobs=(job.id,))),
    )

    assert (tasks(by_task, "train"), tasks(by_task, "holdout")) == ({first}, {third})
    assert (by_task.train, by_task.holdout) == (4, 4)
    assert (by_subset.train, by_subset.holdout) == (8, 4)
    assert (by_job.train, by_job.holdout) == (2, 2)
    assert {i.extra["job"] for i in by_job.dataset.split("holdout")} == {job.id}


def test_a_share_is_held_out_where_no_test_part_is_named(server, ledger, project, home):
    found = pulled(server, ledger, project, home, TrainingChoice(holdout_share=0.5))

    assert found.train + found.holdout == 12
    assert found.holdout == 6


def test_the_loop_knows_nothing_of_it_and_what_it_holds_out_is_not_learnt(
    server, ledger, project, home
):
    held = pulled(server, ledger, project, home, TrainingChoice(holdout_share=0.5))
    assert ledger.memberships() == {}
    assert ledger.used_jobs() == {}

    from cvat_bridge.ledger.records import Membership

    names = {i.file_name for i in held.dataset.split("holdout")}
    store = {p.stem: p for p in home.images.rglob("*") if p.is_file()}
    shas = [stem for stem in store if any(name.startswith(stem[:24]) for name in names)]
    ledger.add_memberships(Membership(sha, "holdout", sha, "share by hash", "now") for sha in shas)
    everything = pulled(server, ledger, project, home, TrainingChoice(holdout_share=0.0))

    assert len(shas) == 6
    assert names == {i.file_name for i in everything.dataset.split("holdout")}


def test_what_was_named_to_test_on_is_never_learnt_from_later(server, ledger, project, home):
    """Nineteen of twenty test frames became training frames of the next round once."""
    first, second, third, _ = task_ids(server, project)
    found = pulled(
        server,
        ledger,
        project,
        home,
        TrainingChoice(TrainingPart((first,)), TrainingPart((third,))),
    )

    assert keep_test_part(ledger, found) == 4
    assert keep_test_part(ledger, found) == 0

    gateway, settings = FakeGateway(server), RoundSettings(holdout_share=0.25)
    facts = gather(gateway, ledger, project.id, settings)
    later = pull(gateway, ledger, facts, home=home, settings=settings, now=lambda: "later")
    assert tasks(later, "train") == {first, second}
    assert third in tasks(later, "holdout")
    with pytest.raises(ConfigError, match="judges models already"):
        pulled(
            server,
            ledger,
            project,
            home,
            TrainingChoice(TrainingPart((third,)), TrainingPart((first,))),
        )


def test_all_that_is_wrong_with_a_choice_is_told_at_once(server, ledger, project, home):
    unfinished = task_ids(server, project)[3]
    choice = TrainingChoice(
        TrainingPart(tasks=(unfinished, 999), subsets=("Nowhere",)),
        TrainingPart(jobs=(888,)),
        holdout_share=1.5,
    )

    with pytest.raises(ConfigError) as told:
        pulled(server, ledger, project, home, choice)

    for word in ("999", "888", "'Nowhere'", "no finished job", "contradict", "0..0.9: 1.5"):
        assert word in str(told.value)


def test_nothing_left_to_learn_from_is_said(server, ledger, project, home):
    with pytest.raises(ConfigError, match="nothing is left to learn from"):
        pulled(
            server,
            ledger,
            project,
            home,
            TrainingChoice(test=TrainingPart(subsets=("Train", "Test"))),
        )


def test_settings_are_merged_and_their_faults_told_before_cvat_is_asked():
    merged = trainer_settings(
        TINY, ["epochs=3", "schedule=step", "milestones=1,2", "image_size=64x96"], ["steps=5"]
    )
    check_training(merged, "good")
    wrong = trainer_settings(TINY, ["schedule=zigzag", "gamma=3", "precision=fp16"], ["wigth=3"])

    with pytest.raises(ConfigError) as told:
        check_training(wrong, "../bad")

    assert (merged.milestones, merged.image_size) == ((1, 2), (64, 96))
    assert merged.extra == {"steps": 5, "width": 8}
    for word in ("zigzag", "gamma", "fp16", "wigth", "../bad"):
        assert word in str(told.value)
    with pytest.raises(ConfigError, match="epochs"):
        trainer_settings(TINY, ["epochs=many"], [])


@pytest.mark.parametrize("asked", ["0", "0,1", "cuda:0,1", "cpu"])
def test_gpus_are_named_by_number_as_people_do(asked):
    device = fit_config(trainer_settings(TINY, [f"device={asked}"], []).given).device

    assert device == {"0": "cuda:0", "0,1": "cuda:0,1"}.get(asked, asked)


def test_what_was_learnt_by_hand_can_be_promoted(server, ledger, project, home):
    """It gets a number among the project's models and says where it comes from; nothing serves."""
    found = pulled(server, ledger, project, home, TrainingChoice(holdout_share=0.5))
    told = []
    run = home.runs / "by-hand"
    fitted = run_fit(
        found.dataset.path, TINY, run_dir=run, name="by hand", split="auto", on_event=told.append
    )
    registry = Registry(None, home.root)
    asked = {"run": "by-hand", "dataset": found.dataset.fingerprint, "labels": {"cell": 7}}

    versions = [register(registry, project.id, fitted.bundle, **asked) for _ in range(2)]

    key = f"project-{project.id}"
    assert [version.number for version in versions] == [1, 1]
    assert registry.champion(key) is None
    assert json.loads(versions[0].tags["label_ids"]) == {"cell": 7}
    assert registry.promote(key, "1", reasons=("by hand",)).champion
    origin = read_bundle(versions[0].path).card.provenance
    assert (origin["run"], origin["strategy"]) == ("by-hand", "chosen by hand")
    assert {job["job"] for job in origin["source"]["jobs"]}
    stages = {event.get("stage") for event in told}
    assert {"fit", "evaluate"} <= stages
    assert any(event.get("figures", {}).get("loss") for event in told)


def test_a_run_is_learnt_in_its_own_process_and_its_events_are_served(
    server, ledger, project, home
):
    first, _, third, _ = task_ids(server, project)
    choice = TrainingChoice(TrainingPart(tasks=(first,)), TrainingPart(tasks=(third,)))
    found = pulled(server, ledger, project, home, choice)
    run = home.runs / "by-hand"
    fitted = run_fit(found.dataset.path, TINY, run_dir=run, name="by hand", split="auto")
    app = FastAPI()
    add_run_routes(app, lambda: [home.snapshots, home.runs], token="t0ken")

    with TestClient(app, headers={"Authorization": "Bearer t0ken"}) as client:
        told = client.get("/api/runs/by-hand/events")
        stranger = client.get("/api/runs/by-hand/events", headers={"Authorization": "Bearer no"})
        absent = [client.get(f"/api/runs/{name}/events") for name in ("none", "..", ".hidden")]

    lines = [line[6:] for line in told.text.splitlines() if line.startswith("data: ")]
    assert [json.loads(line) for line in lines[:-1]] == read_events(run)
    assert told.headers["content-type"].startswith("text/event-stream")
    assert "event: done" in told.text
    assert {answer.status_code for answer in absent} == {404}
    assert stranger.status_code == 401
    assert fitted.evaluation is not None
    assert fitted.evaluation["frames"] == 4


def test_a_failed_fit_is_recorded_with_its_log(server, ledger, project, home):
    found = pulled(server, ledger, project, home, TrainingChoice(holdout_share=0.5))
    run = home.runs / "too-fast"
    hot = replace(
        TINY,
        learning_rate=1e30,
        extra={"steps": 50, "width": 8},
        automatic=TINY.automatic - {"learning_rate"},
    )

    with pytest.raises(FitFailedError) as told:
        run_fit(found.dataset.path, hot, run_dir=run, name="hot")

    recorded = json.loads((run / "failure.json").read_text())
    assert recorded["kind"] == told.value.kind == "TrainingError"
    assert "learning rate" in recorded["message"]
    assert read_events(run)[-1]["event"] == "error"
    assert told.value.log.exists()


@pytest.mark.parametrize("backend", ["torchvision_detection", "libreyolo", "semantic"])
def test_published_weights_begin_the_first_fit_and_the_champion_the_later_ones(backend, tmp_path):
    """A backend refuses two beginnings, so the first round's must not end the second."""
    extra = {"pretrained": True, "weights_sha256": "0" * 64, "width": 8}
    section = TrainerSection.of({"backend": backend, "warm_start": True, "extra": extra})

    first = yaml.safe_load(fit_file(section, None))
    later = yaml.safe_load(fit_file(section, tmp_path))

    assert first == {**section.given, "extra": extra}
    assert later == {**section.given, "base": str(tmp_path), "extra": {"width": 8}}


def test_the_file_of_a_fit_is_read_back_as_the_same_settings(tmp_path):
    """What nobody set stays open to the backend, and small numbers stay numbers."""
    keys = {"learning_rate": 1e-05, "extra": {"rate": 1e-05}, "milestones": (3, 4), "device": 0}
    section = TrainerSection.of({**keys, "schedule": "step", "epochs": 30})
    path = tmp_path / "fit.yaml"
    path.write_text(fit_file(section, None), encoding="utf-8")

    read = fit_config(read_yaml(path))

    assert read == fit_config({**keys, "schedule": "step", "epochs": 30})
    assert read.automatic == {"batch_size", "image_size", "time_limit"}
