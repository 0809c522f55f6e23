"""Stop, kill and resume, over every backend: what was learnt stays, and the rest is the same."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.contract.test_backends import TINY
from tests.trainer.shapes import shapes_dataset
from trainer.backends import BACKENDS, backend
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset
from trainer.runs.run import run_fit
from trainer.runs.run_folder import read_request, reopen, stop_fit

ROOT = Path(__file__).parents[2]
# They draw by step, so a resume is the same to the bit.
EXACT = ("centernet", "extreme_points", "libreyolo", "semantic", "torchvision_detection")

pytestmark = pytest.mark.parametrize("name", sorted(BACKENDS))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes") / "d"
    return shapes_dataset(folder, train=6, holdout=2, masks=True).path


def config(name):
    tiny = TINY[name]
    if "steps" in tiny.extra:
        return dataclasses.replace(tiny, extra={**tiny.extra, "steps": 8})
    return dataclasses.replace(tiny, epochs=3)


def weights(out):
    """Give every array of the checkpoint, where it is one of arrays."""
    path = out / "fit" / "checkpoint.npz"
    with np.load(path) as file:
        return {key: file[key] for key in file.files if not key.startswith("__")}


def test_a_stopped_fit_is_a_usable_model_and_its_resume_ends_like_one_left_alone(
    name, data, tmp_path
):
    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    if name in EXACT:  # the fit alone; what becomes of its checkpoint is test_backends' subject
        backend(name).fit(
            load_dataset(data), config(name), run_dir=alone / "fit", report=lambda _: None
        )

    def stop(step):
        if step.stage == "fit" and step.done >= step.total / 2:
            stop_fit(stopped)

    early = run_fit(data, config(name), stopped, split="none", report=stop)
    assert read_bundle(early.bundle.path) == early.bundle
    folder, asked, called = read_request(stopped)
    reopen(stopped)
    told = []
    late = run_fit(folder, asked, stopped, name=called, split="none", report=told.append)

    steps = [step for step in told if step.stage == "fit"]
    assert steps[0].done > steps[0].total / 2
    assert steps[-1].done == steps[-1].total
    assert late.bundle.version != early.bundle.version
    if name in EXACT:
        one, other = weights(alone), weights(stopped)
        assert all(np.allclose(one[key], other[key], atol=1e-6) for key in one)


def test_a_killed_fit_goes_on_where_it_was_saved(name, data, tmp_path):
    """The killed process saves at each step; it dies by SIGKILL after the first."""
    out = tmp_path / "run"
    asked = config(name)
    if "steps" in asked.extra:
        asked = dataclasses.replace(asked, extra={**asked.extra, "save_every": 0.0})
    values = asked.to_json()
    script = (
        "import json, os, signal, sys\n"
        "from pathlib import Path\n"
        "from trainer.detector import FitConfig\n"
        "from trainer.runs.run import run_fit\n"
        "data, out, values = sys.argv[1:]\n"
        "state = Path(out) / 'fit' / 'state.pt'\n"
        "def report(step):\n"
        "    if step.stage == 'fit' and state.exists():\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "config = FitConfig.from_json(json.loads(values))\n"
        "run_fit(Path(data), config, Path(out), split='none', report=report)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(data), str(out), json.dumps(values)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert killed.returncode == -9, killed.stderr
    told = []
    run_fit(data, asked, out, split="none", report=told.append)

    steps = [step for step in told if step.stage == "fit"]
    assert 1 < steps[0].done < steps[0].total
    assert steps[-1].done == steps[-1].total
    assert (out / "result.json").exists()
