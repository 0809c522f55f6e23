"""The champion's bundle, or its entry in the store, is gone or damaged."""

from __future__ import annotations

import shutil

import pytest

from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Decision
from cvat_bridge.models.repair import intact_champion, repair_champion
from cvat_bridge.models.serving import project_key, serve_champion
from serverless.store.functions import entries
from tests.fakes.registry import FakeRegistry
from tests.serverless.bright_spots import bright_spots
from trainer.bundles.bundle import read_bundle


@pytest.fixture
def serving(site, tmp_path):
    """A site whose second version serves, after the first."""
    key = project_key(site.project_id)
    for number in (1, 2):
        bundle = bright_spots(tmp_path / f"v{number}", gain=4.0 + number)
        site.registry.promote(key, site.registry.add(key, bundle).number, reasons=("it wins",))
    champion = site.registry.champion(key)
    serve_champion(site.gateway, site.config, site.home, champion)
    with Ledger(site.home.ledger) as ledger:
        ledger.save_decision(Decision(1, "", champion.bundle, True, ("it wins",), {}, "2026"))
    return site


def mended(site):
    with Ledger(site.home.ledger) as ledger:
        return repair_champion(site.gateway, site.config, site.home, ledger, site.registry)


def entry_of(site):
    (entry,) = entries(Home(site.config.home).functions)
    return entry


def damage(site, number, how):
    path = site.registry.rows[number - 1].path
    if how == "gone":
        shutil.rmtree(path)
    else:
        file = next(p for p in sorted(path.iterdir()) if p.suffix == ".onnx")
        file.write_bytes(file.read_bytes()[:-9])


def test_what_is_whole_is_left_alone(serving):
    assert mended(serving) == ()
    assert len(serving.registry.changes) == 2


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_bundle_that_a_server_has_is_fetched(serving, tmp_path, how):
    version = serving.registry.rows[1]
    shutil.copytree(version.path, tmp_path / "server")
    serving.registry.remote[version.bundle] = read_bundle(tmp_path / "server")
    damage(serving, 2, how)

    (told,) = mended(serving)

    assert "serves again" in told
    assert entry_of(serving).version == version.bundle
    assert read_bundle(entry_of(serving).bundle).version == version.bundle


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_else_the_version_before_serves_and_it_is_said(serving, how):
    damage(serving, 2, how)

    (told,) = mended(serving)

    assert "version 1, which served before, serves again" in told
    assert entry_of(serving).version == serving.registry.rows[0].bundle
    assert serving.registry.champion(project_key(serving.project_id)).number == 1
    assert "cannot be used" in serving.registry.changes[-1].reasons[0]
    assert mended(serving) == ()


def test_without_any_whole_version_it_is_said(serving):
    damage(serving, 1, "gone")
    damage(serving, 2, "gone")

    (told,) = mended(serving)

    assert "no version that served before is whole" in told


@pytest.mark.parametrize("content", [None, b"", b'{"id": "cham'])
def test_an_entry_that_is_gone_or_damaged_is_written_again(serving, content):
    (path,) = serving.home.functions.glob("*.json")
    version = entry_of(serving).version
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    (told,) = mended(serving)

    assert "no entry" in told
    assert entry_of(serving).version == version


def test_nothing_promoted_is_nothing_to_mend():
    assert intact_champion(FakeRegistry(), "project-1") == (None, "")
