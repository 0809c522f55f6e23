"""`blindspots` and `similar` on the command line, from records alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.evaluations.evaluated_frames import EvaluatedFrame, FrameLocation
from cvat_bridge.evaluations.recording import record
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from trainer.detections import Detections
from trainer.embedding import Descriptor

BOX = (10.0, 10.0, 30.0, 30.0)


def judged(n: int) -> EvaluatedFrame:
    """Return a frame with a cat that is found and a dog that is not."""
    pixels = np.full((60, 80, 3), 3 * n, np.uint8)
    return EvaluatedFrame(
        FrameLocation(1, n, 7, f"{n:064x}", ".png", 80, 60),
        np.array([BOX, (40, 30, 70, 50)], float),
        ("cat", "dog"),
        np.zeros((0, 4)),
        Detections(np.array([BOX], np.float32), np.array([0.9], np.float32), np.array([0])),
        lambda: pixels,
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Give a configuration whose home holds the record of one model."""
    folder = tmp_path_factory.mktemp("insight")
    path = folder / "cvat-bridge.yaml"
    path.write_text(f"home: {folder / 'home'}\ncvat: {{url: 'http://localhost:1', project: 1}}\n")
    home = Home(folder / "home")
    with Ledger(home.ledger) as ledger, AppearanceStore(home.judged, Descriptor()) as looks:
        record(
            home,
            ledger,
            [judged(n) for n in range(40)],
            model="abcdef123456",
            source="holdout",
            number=3,
            classes=("cat", "dog"),
            names=("cat", "dog"),
            appearance=looks,
            threshold=0.5,
            now="2026-01-01",
        )
    return path


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_blindspots_names_the_class_that_is_never_found(config):
    found = json.loads(run("blindspots", "-c", config, "--model", "abc", "--json").stdout)

    assert found["slices"][0]["key"] == "class=dog"
    assert found["slices"][0]["recall"]["value"] == 0
    assert found["confusion"]["names"] == ["cat", "dog", ""]


def test_blindspots_speaks_in_words_and_lists_failures(config):
    told = run("blindspots", "-c", config, "--model", "abc")
    listed = run("blindspots", "-c", config, "--model", "abc", "--slice", "class=dog")

    assert "dog" in told.stdout and "missed" in told.stdout
    assert "dog missed" in listed.stdout


def test_what_is_not_known_is_an_error_that_says_what_is(config):
    slice_ = run("blindspots", "-c", config, "--model", "abc", "--slice", "class=horse")
    source = run("blindspots", "-c", config, "--model", "abc", "--source", "guess")
    model = run("blindspots", "-c", config, "--model", "zzz")
    pool = run("similar", "class=dog", "-c", config, "--model", "abc")

    assert isinstance(slice_.exception, ConfigError) and "class=horse" in str(slice_.exception)
    assert isinstance(source.exception, ConfigError) and "holdout" in str(source.exception)
    assert isinstance(model.exception, NothingToDoError) and "abcdef" in str(model.exception)
    assert isinstance(pool.exception, NothingToDoError) and "pool" in str(pool.exception)
