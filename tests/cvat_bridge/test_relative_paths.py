"""A relative path means the same file, whatever folder a command is typed in."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from cvat_sdk.core.client import Client

from cvat_bridge.cli.doctor import examine
from cvat_bridge.config import load_config
from cvat_bridge.errors import UnreachableError
from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from serverless.store.functions import Entry, publish
from tests.cvat_bridge.sandbox.conftest import connected
from tests.serverless.bright_spots import bright_spots
from trainer.runs.fit_settings import read_yaml


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a configuration; the command is typed in another one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def configured(folder: Path, **values: object) -> Path:
    path = folder / "cvat-bridge.yaml"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_every_path_of_the_configuration_counts_from_the_file(project: Path) -> None:
    (project / "ours.pth").write_bytes(b"weights")
    path = configured(
        project,
        home="home",
        function_host={"store": "functions"},
        trainer={"base": "base", "extra": {"backbone": "ours.pth", "steps": 80}},
        database_url="sqlite:///rounds.db",
        mlflow_url="sqlite:///mlflow.db",
    )

    for named in (path, Path("../project/cvat-bridge.yaml")):
        config = load_config(named)

        assert config.home == project / "home"
        assert config.function_host.store == project / "functions"
        assert config.trainer.base == project / "base"
        assert config.trainer.extra == {"backbone": str(project / "ours.pth"), "steps": 80}
        assert config.database_url == f"sqlite:///{project}/rounds.db"
        assert config.mlflow_url == f"sqlite:///{project}/mlflow.db"


@pytest.mark.parametrize(
    "url", ["sqlite:////var/rounds.db", "sqlite:///:memory:", "postgresql:///rounds", "http://m:5"]
)
def test_an_address_that_names_no_relative_file_stays_as_it_is(project: Path, url: str) -> None:
    config = load_config(configured(project, database_url=url, mlflow_url=url))

    assert (config.database_url, config.mlflow_url) == (url, url)


def test_a_text_that_names_no_file_stays_as_it_is_and_the_users_folder_is_known(
    project: Path,
) -> None:
    config = load_config(
        configured(project, home="~/loop", trainer={"extra": {"backbone": "lite0"}})
    )

    assert config.home == Path.home() / "loop"
    assert config.trainer.extra == {"backbone": "lite0"}


def test_the_base_in_a_file_of_settings_counts_from_the_file(project: Path) -> None:
    (project / "first").mkdir()
    (project / "fit.yaml").write_text("base: first\n", encoding="utf-8")
    (project / "other.yaml").write_text("base: second\n", encoding="utf-8")

    assert read_yaml(project / "fit.yaml") == {"base": str(project / "first")}
    assert read_yaml(project / "other.yaml") == {"base": "second"}


def test_a_host_on_another_store_is_found_by_doctor_and_told_in_the_log(project: Path) -> None:
    bundle = bright_spots(project / "spots")
    store = project / "functions"
    publish(store, Entry("champion", "detector", "C", "finds", bundle.path, bundle.version))

    def host(folder: Path) -> tuple[str, str, str]:
        with hosting(folder, builtin=False, log=project / "host.log") as url:
            config = load_config(
                configured(project, function_host={"url": url, "store": "functions"})
            )
            (check,) = [c for c in examine(config, absent) if c.name == "function host"]
        return check.state, check.found, check.mend

    state, found, mend = host(Path("functions"))  # of the wrong folder
    log = (project / "host.log").read_text()

    assert state == "bad"
    assert f"{store} holds champion, which" in found
    assert f"--store {store}" in mend
    assert "the store does not exist yet" in log
    assert str(Path("functions").resolve()) in log
    assert host(Path("../project/functions"))[:2] == ("good", "champion")


def absent() -> None:
    raise UnreachableError("read", "CVAT", None, "not there", "start it")


def test_a_sandbox_finds_its_files_when_it_is_started_from_another_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = project / "a.png"
    cv2.imwrite(str(image), np.full((8, 8, 3), 90, np.uint8))
    monkeypatch.chdir(project)
    with running(Path("data")) as sandbox, connected(sandbox) as client:
        task = client.tasks.create_from_data({"name": "t", "labels": [{"name": "a"}]}, [image]).id
    monkeypatch.chdir(project.parent)

    with running(Path("project/data")) as sandbox, connected(sandbox) as client:
        content = _frame(client, task)

    assert content == image.read_bytes()


def _frame(client: Client, task: int) -> bytes:
    return bytes(client.tasks.retrieve(task).get_frame(0, quality="original").read())
