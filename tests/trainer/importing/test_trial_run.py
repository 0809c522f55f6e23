"""A network that is brought is opened and asked once behind limits."""

import time

import psutil
import pytest

from tests.patience import patience
from tests.serverless.bad_models import bad
from tests.serverless.bright_spots import bright_spots
from trainer.errors import BundleError
from trainer.importing import trial_run


def samples_at_work() -> list[int]:
    found = psutil.process_iter(["pid", "cmdline"])
    return [p.pid for p in found if "trainer.importing.trial_run" in (p.info["cmdline"] or ())]


def test_a_good_network_answers(tmp_path):
    trial_run.check_detection(bright_spots(tmp_path / "good").path)
    trial_run.check_opening(tmp_path / "good" / "model.onnx")


def test_a_network_that_crashes_costs_only_its_own_import(tmp_path):
    made = bad(tmp_path / "crashing", "crashing")

    with pytest.raises(BundleError, match="crashes its process"):
        trial_run.check_detection(made.path)


def test_a_network_that_loops_is_ended_with_all_it_started(tmp_path):
    made = bad(tmp_path / "hanging", "hanging")
    began = time.monotonic()

    with pytest.raises(BundleError, match="takes longer than 12 s"):
        trial_run.check_detection(made.path, seconds=12)

    assert time.monotonic() - began < patience(60)
    limit = time.monotonic() + patience(10)
    while samples_at_work():
        assert time.monotonic() < limit


def test_a_network_that_eats_memory_is_refused_it(tmp_path):
    made = bad(tmp_path / "hungry", "hungry")

    with pytest.raises(BundleError):
        trial_run.check_detection(made.path)
