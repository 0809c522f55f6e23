"""`cvat-bridge restore` over HTTP, and who may run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.cvat.gateway import LocalFile, NewTask
from cvat_bridge.errors import HomeHeldError, ProjectTakenError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.opening import ledger_of
from cvat_bridge.project.copies import copy_name
from cvat_bridge.project.markers import round_marker
from cvat_bridge.projects import load_served
from cvat_bridge.sandbox import Sandbox, running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures

OTHER = "0badcafe"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture
def stage(sandbox: Sandbox, tmp_path: Path) -> Iterator[HttpStage]:
    stage = HttpStage(sandbox.url, tmp_path / "cache", token=sandbox.admin_token, login=None)
    yield stage
    stage.close()


@pytest.fixture
def lost(sandbox, stage, tmp_path, monkeypatch):
    """A project with a round's task of a home that is gone; returns the configuration and more."""
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", sandbox.admin_token)
    project = stage.add_project(LABELS)
    images = pictures(4)
    source = stage.add_task(project, images)
    names = [frame.name for frame in stage.gateway.media(source).frames]
    files = tuple(
        LocalFile(copy_name(rank, name, is_video=False), images[name])
        for rank, name in enumerate(names[1:3], 1)
    )
    marker = round_marker(OTHER, 3)
    jobs = ((files[0].name,), (files[1].name,))
    made = stage.gateway.create_task(NewTask(f"Round 3 {marker}", marker, project, jobs, files))
    config = tmp_path / "cvat-bridge.yaml"
    cvat = {"url": sandbox.url, "project": project}
    config.write_text(yaml.safe_dump({"home": "home", "cvat": cvat}), encoding="utf-8")
    return config, project, source, made.id


def restore(config, *more):
    return CliRunner().invoke(app, ["restore", "-c", str(config), *more])


def test_a_lost_home_is_restored_and_the_lines_say_what(lost, stage):
    config, project, source, made = lost

    answer = restore(config)

    assert answer.exit_code == 0, answer.output
    assert "restored: rounds: 3" in answer.stdout
    assert f"restored: tasks of rounds in CVAT: {made}" in answer.stdout
    assert "lost: what people did" in answer.stdout
    with Ledger(config.parent / "home" / "ledger.db") as ledger:
        assert ledger.identity == OTHER
        rows = [(r.task_id, r.frame, r.source_task, r.source_frame) for r in ledger.provenance()]
        assert rows == [(made, 0, source, 1), (made, 1, source, 2)]
        assert len(ledger.ranked_jobs(3)) == 2
    assert stage.gateway.leases(project) == ()


def test_a_lost_database_is_restored_as_a_lost_home_is(lost, stage, database_url):
    path, project, source, made = lost
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**settings, "database_url": database_url}), encoding="utf-8")

    answer = restore(path)

    assert answer.exit_code == 0, answer.output
    assert "restored: rounds: 3" in answer.stdout
    with ledger_of(load_served(path).of(project).config) as ledger:
        assert ledger.identity == OTHER
        rows = [(r.task_id, r.frame, r.source_task, r.source_frame) for r in ledger.provenance()]
        assert rows == [(made, 0, source, 1), (made, 1, source, 2)]
    assert stage.gateway.leases(project) == ()


def test_it_answers_in_json(lost):
    config, _, _, made = lost

    answer = restore(config, "--json")

    found = json.loads(answer.stdout)
    assert (found["rounds"], found["tasks"], found["set_aside"]) == ([3], [made], {})


def test_not_while_a_bridge_works_there_or_on_the_project(lost, stage):
    config, project, _, _ = lost

    with Home(config.parent / "home").held("service"):
        beside = restore(config)
    stage.gateway.take_lease(project, "ab" * 8, "on another machine, home /srv")
    second = restore(config)

    assert isinstance(beside.exception, HomeHeldError)
    assert isinstance(second.exception, ProjectTakenError)
    assert "on another machine, home /srv" in str(second.exception)
