"""The shared loop: schedules, precision, early stopping, looks at val, and who may watch it."""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import mlflow
import pytest
import torch
from torch import nn

from tests.patience import patience
from tests.trainer.shapes import shapes_dataset
from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings, TrainingLoop
from trainer.backends.learning.memory import measure_memory
from trainer.backends.learning.schedule import rate
from trainer.data.dataset import ANNOTATIONS, load_dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import TrainingError
from trainer.events import EventLog, follow, read_events
from trainer.runs.run import run_fit
from trainer.runs.tracking import tracker_of

ROOT = Path(__file__).parents[2]
TINY = FitConfig(
    "centernet",
    batch_size=4,
    image_size=(48, 64),
    extra={"steps": 20, "width": 8, "backbone": "none"},
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Train, val and holdout frames."""
    found = shapes_dataset(tmp_path_factory.mktemp("shapes") / "d", train=8, holdout=4)
    path = found.path / ANNOTATIONS
    content = json.loads(path.read_text())
    for row in content["images"][8:10]:
        row["split"] = "val"
    path.write_text(json.dumps(content))
    return found.path


def rates(config: FitConfig) -> list[float]:
    return [round(rate(config, done / 10, warmup=0.0), 6) for done in range(11)]


def test_the_rate_follows_its_schedule():
    config = FitConfig("x", epochs=10, learning_rate=1.0)
    step = dataclasses.replace(config, schedule="step", gamma=0.5, milestones=(4, 8))

    assert rates(dataclasses.replace(config, schedule="constant")) == [1.0] * 11
    assert rates(step) == [1.0] * 4 + [0.5] * 4 + [0.25] * 3
    assert rates(config)[5] == pytest.approx((1 + math.cos(math.pi / 2)) / 2)
    assert rates(config)[10] == 0.01
    assert rate(config, 0.0, warmup=0.1) == pytest.approx(0.05)


def test_the_schedule_reaches_what_learns(data, tmp_path):
    told = []
    config = dataclasses.replace(
        TINY, epochs=10, schedule="step", gamma=0.1, milestones=(5,), evaluation_period=0
    )
    run_fit(data, config, tmp_path / "run", split="none", report=told.append)
    rates = [step.figures["lr"] for step in told if step.stage == "fit"]

    assert rates[9] == pytest.approx(10 * rates[-1])
    assert len({round(r, 9) for r in rates[10:]}) == 1


def test_looks_at_val_give_ap_and_pictures_and_lack_of_gain_ends_the_fit(data, tmp_path):
    told = []
    # So slow that nothing is gained: it must end after the first look and two without gain.
    config = dataclasses.replace(
        TINY,
        learning_rate=1e-12,
        evaluation_period=1,
        early_stopping=2,
        extra={**TINY.extra, "steps": 200},
    )
    run_fit(data, config, tmp_path / "run", split="none", report=told.append)
    looks = [step for step in told if step.stage == "val"]
    fits = [step for step in told if step.stage == "fit"]

    assert len(looks) in (3, 4)
    assert fits[-1].done < 20
    assert set(looks[0].figures) == {"ap", "ap50"}
    assert fits[-1].figures["ap"] == looks[-2].figures["ap"]
    for look in looks:
        assert look.picture is not None
        assert cv2.imread(str(look.picture)).shape == (320, 960, 3)


def test_bf16_learns_about_the_same_and_is_not_fp32(data, tmp_path):
    losses = {}
    for precision in ("fp32", "bf16"):
        told = []
        config = dataclasses.replace(TINY, precision=precision, evaluation_period=0)
        run_fit(data, config, tmp_path / precision, split="none", report=told.append)
        losses[precision] = [s.figures["loss"] for s in told if s.stage == "fit"]

    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"][0] == pytest.approx(losses["fp32"][0], rel=0.05)


def test_memory_is_measured_by_the_sample():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    needs = [
        measure_memory(network, lambda n=n: network(torch.zeros(n, 3, 32, 32)).sum(), n)
        for n in (1, 4)
    ]

    # The input (3) and the activation between (8): 32-bit planes of 32 x 32.
    assert needs[0].per_sample == pytest.approx(1.5 * 11 * 32 * 32 * 4, rel=0.01)
    assert needs[1].per_sample == pytest.approx(needs[0].per_sample, rel=0.01)
    assert needs[0].fixed == 5 * 4 * sum(p.numel() for p in network.parameters())


def test_figures_and_pictures_are_in_mlflow_and_in_the_event_stream(data, tmp_path):
    out = tmp_path / "runs" / "one"
    config = dataclasses.replace(TINY, evaluation_period=5)
    tracker = tracker_of(None, out, config, "shapes")
    outcome = run_fit(data, config, out, name="shapes", report=lambda _: None, tracker=tracker)
    store = f"sqlite:///{out.parent / 'mlflow.db'}"
    client = mlflow.MlflowClient(store, store)  # or it makes one where we stand
    (run,) = client.search_runs([client.get_experiment_by_name("shapes").experiment_id])
    told = read_events(out)

    assert run.info.status == "FINISHED"
    assert run.data.params["backend"] == "centernet"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 20
    assert client.get_metric_history(run.info.run_id, "val_ap")
    assert client.list_artifacts(run.info.run_id, "samples")
    assert [told[0]["event"], told[-1]["event"]] == ["begun", "done"]
    assert told[-1]["version"] == outcome.bundle.version
    assert all(Path(e["picture"]).exists() for e in told if e.get("stage") == "val")
    assert [e for e in told if e.get("stage") == "fit"][-1]["seconds_left"] == 0


def test_a_fit_that_fails_before_its_first_figure_does_not_wake_mlflow(data, tmp_path):
    out = tmp_path / "runs" / "one"
    tracker = tracker_of(None, out, TINY, "shapes")
    huge = dataclasses.replace(TINY, image_size=(600000, 600000), batch_size=1)

    with pytest.raises(TrainingError):
        run_fit(data, huge, out, report=lambda _: None, tracker=tracker)

    assert json.loads((out / "failure.json").read_text())["kind"] == "TrainingError"
    assert not (out.parent / "mlflow.db").exists()


def test_a_failed_fit_ends_soon_though_mlflow_does_not_answer(tmp_path):
    """A server that takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begin = tracker_of(where, tmp_path / "run", TINY, "shapes")
        assert begin is not None
        (tmp_path / "run").mkdir()
        tracker = begin()
        tracker.progress(Progress("fit", 1, 2, figures={"loss": 1.0}))
        began = time.monotonic()
        tracker.end("FAILED")

    assert time.monotonic() - began < patience(15)
    assert "MLflow took more than" in tracker.trouble


def test_a_follower_sees_half_lines_whole_and_ends_with_the_run(tmp_path):
    events = EventLog(tmp_path)
    events.write("begun", {})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "progr')  # a process was killed here
    again = EventLog(tmp_path)
    again.write("note", {"text": "gone on with", "figure": math.nan})
    seen = []
    for event in follow(tmp_path):
        if event is None:
            again.write("done", {})
            continue
        seen.append(event)

    assert [event["event"] for event in seen] == ["begun", "note", "done"]
    assert seen[1]["figure"] is None


def test_watch_tells_of_a_run_and_of_how_it_ended(data, tmp_path):
    out = tmp_path / "run"
    run_fit(data, dataclasses.replace(TINY, evaluation_period=0), out, report=lambda _: None)
    command = [sys.executable, "-m", "trainer", "watch", str(out)]
    lines = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100
    )
    (out / "events.jsonl").write_text('{"event": "begun"}\n')
    left = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )

    assert json.loads(lines.stdout.splitlines()[-1])["event"] == "done"
    assert left.returncode == 1
    assert "no fit is running there" in left.stderr


def test_what_has_a_rate_of_its_own_learns_at_it(data, tmp_path):
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    loop = TrainingLoop(
        load_dataset(data),
        dataclasses.replace(TINY, learning_rate=0.1, schedule="constant"),
        network,
        run_dir=tmp_path,
        total=1,
        per_epoch=1,
        optimizer=OptimizerSettings(
            weight_decay=0.0, warmup=0.0, factor={"0.weight": 0.25, "1.weight": 1.0}.__getitem__
        ),
    )
    loop.run(
        BatchesAndLoss(lambda _: [None], lambda net, _: (net(torch.ones(1, 1)).sum(), {})),
        lambda _: None,
    )

    slow, usual = (1 - parameter.item() for parameter in network.parameters())
    assert usual == pytest.approx(0.1, rel=1e-3)
    assert slow == pytest.approx(0.25 * usual, rel=1e-3)


def test_the_val_part_is_there(data):
    assert len(load_dataset(data).split("val")) == 2


class Flat(nn.Module):
    """A network of one number; nothing of it matters."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))


def cycles(tmp_path, data, aps, *, total=100):
    """Return the learning rates of a fit with restarts whose looks at val give these AP."""
    from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings, TrainingLoop

    tmp_path.mkdir(exist_ok=True)
    config = FitConfig("flat", learning_rate=1.0, schedule="restarts", batch_size=2)
    loop = TrainingLoop(
        load_dataset(data),
        config,
        Flat(),
        run_dir=tmp_path,
        total=total,
        per_epoch=4,
        optimizer=OptimizerSettings(warmup=0.02, save_every=1e9),
    )
    lesson = BatchesAndLoss(
        lambda step: [step] * 2, lambda network, _: ((network.value**2).sum(), {})
    )
    looks = iter(aps)
    rates = []

    def report(progress):
        if progress.stage == "fit":
            rates.append(progress.figures["lr"])

    loop.run(lesson, report, lambda weights, number, of: {"ap": next(looks)})
    return rates, loop


def test_learning_goes_on_as_long_as_val_gains(data, tmp_path):
    rates, loop = cycles(tmp_path, data, [n / 100 for n in range(1, 60)])

    assert len(rates) == 400
    assert [max(rates[n : n + 100]) for n in (0, 100, 200, 300)] == pytest.approx(
        [1.0, 0.5, 0.25, 0.125], rel=0.01
    )
    assert all(rates[n] < 0.02 for n in (99, 199, 299, 399))
    assert loop.ended


def test_without_gain_over_a_cycle_the_fit_ends(data, tmp_path):
    rates, _ = cycles(tmp_path, data, [0.5] * 60)

    assert len(rates) == 200  # the first cycle gains over nothing, the second over it no more


def test_a_fit_that_learns_nothing_ends_after_its_first_cycle(data, tmp_path):
    rates, _ = cycles(tmp_path, data, [0.0] * 60)

    assert len(rates) == 100


def test_with_restarts_the_best_on_val_is_kept(data, tmp_path):
    _, fallen = cycles(tmp_path / "1", data, [0.3, 0.6] + [0.1] * 60)
    _, risen = cycles(tmp_path / "2", data, [n / 100 for n in range(1, 60)])

    assert fallen.weights is fallen.best
    assert risen.best is not None
    assert torch.equal(risen.best["value"], risen.average.weights["value"])


def test_a_fit_with_restarts_is_gone_on_with_where_it_was(data, tmp_path):
    _, whole = cycles(tmp_path, data, [0.5] * 60)
    again, loop = cycles(tmp_path, data, [])

    assert again == []
    assert loop.step == whole.step
