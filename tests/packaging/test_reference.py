"""Every command, key, route, metric and error stands in the reference; what pages tell exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from cvat_bridge.cli.app import app as bridge
from cvat_bridge.cli.setup import render
from cvat_bridge.config import Config, TrainerSection, config_help, load_config
from docs.generate import commands, configuration, errors, http, metrics
from serverless.host.options import parser
from tests.packaging.team import ROOT
from trainer.cli.app import app as trainer

PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"],
    key=lambda path: path.as_posix(),
)
PROGRAMS = {"cvat-bridge": bridge, "trainer": trainer}


def key_places(model: type, prefix: str = "") -> Iterator[str]:
    """Yield the place of every key, from the models and dataclasses alone."""
    for name, inner in get_type_hints(model).items():
        if name == "model_config" or (model is TrainerSection and name == "automatic"):
            continue
        if isinstance(inner, type) and (issubclass(inner, BaseModel) or is_dataclass(inner)):
            yield from key_places(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def help_places(texts: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, text in texts.items():
        if isinstance(text, dict):
            yield from help_places(text, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_of_the_configuration_stands_in_the_reference_with_its_meaning():
    found = {key.place: key for key in configuration.all_keys()}
    page = configuration.page()

    assert set(found) == set(key_places(Config)) == set(help_places(config_help()))
    assert len(found) > 60
    assert [place for place, key in found.items() if len(key.meaning) < 10] == []
    assert [name for name in found if f"| `{name.rpartition('.')[2]}` |" not in page] == []
    assert "| `budget` | integer ≥ 1 | `50` | Frames that a round takes. |" in page


def test_the_default_in_the_reference_is_that_of_the_models():
    defaults = Config().model_dump(mode="json")
    for key in configuration.all_keys():
        value = defaults
        for name in key.place.split("."):
            value = value[name]
        assert yaml.safe_load(key.default) == value, key.place


def test_the_schema_that_is_printed_knows_every_key_of_a_written_file():
    done = CliRunner().invoke(bridge, ["schema"])
    schema = yaml.safe_load(done.stdout)
    text = render(url="http://cvat", project=3, public_url=None, organization=None, home="bridge")

    def strange(part: dict[str, Any], values: dict[str, Any], place: str = "") -> Iterator[str]:
        for name, value in values.items():
            known = part["properties"].get(name)
            if known is None:
                yield f"{place}{name}"
            elif "$ref" in known:
                inner = schema["$defs"][known["$ref"].rpartition("/")[2]]
                yield from strange(inner, value, f"{place}{name}.")

    assert done.exit_code == 0
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["SelectionSection"]["properties"]["budget"]["description"]
    assert list(strange(schema, yaml.safe_load(text))) == []
    assert list(strange(schema, {"cvat": {"projekt": 3}})) == ["cvat.projekt"]


def test_every_command_with_every_option_stands_in_the_reference():
    page = commands.page()
    paths = [path for path, _ in commands.command_paths()]

    assert {"cvat-bridge round", "cvat-bridge models add", "trainer snapshot export"} <= set(paths)
    for path, command in commands.command_paths():
        section = page.partition(f"### {path}\n")[2].partition("\n### ")[0]
        assert command.help, path
        assert command.help.split("\n")[0].split()[0] in section, path
        for parameter in command.params:
            if not getattr(parameter, "hidden", False) and parameter.name != "help":
                shown = parameter.opts[0] if parameter.opts[0].startswith("-") else None
                assert (shown or str(parameter.name).upper()) in section, (path, parameter.name)
    for action in parser()._actions:
        assert action.option_strings[-1] in page or action.dest == "help"


def test_every_route_metric_and_error_has_a_meaning():
    routes = {(one.server, one.path): one.text for one in http.endpoints()}
    figures = [row for one in metrics.registries().values() for row in metrics.rows(one)]
    classes = [one for module in errors.MODULES for one in errors.classes(module)]

    assert ("cvat-bridge run", "/webhooks/cvat") in routes
    assert ("python -m serverless.host", "/api/function_invocations") in routes
    assert all(routes.values())
    assert {"function_calls_total", "bridge_failures"} <= {row[0] for row in figures}
    assert all(row[3] for row in figures)
    assert len(classes) > 30
    assert [one for one in classes if not one.__doc__] == []


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the commands of our programs that a page tells its readers to type."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(
        r"`((?:cvat-bridge|trainer|cvat-functions|python -m serverless\.host|make) [^`]+)`", text
    )
    for line in lines:
        words = shlex.split(line.partition(" #")[0].partition(" > ")[0].rstrip("& "))
        if words and (words[0] in PROGRAMS or words[0] in ("make", "python", "cvat-functions")):
            yield words


def fault_of(words: list[str]) -> str:
    """Return what is wrong with a command's name and options, "" for nothing."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return "" if words[1].strip(",") in targets else f"no target {words[1]}"
    if words[0] in ("python", "cvat-functions"):
        known = {o for action in parser()._actions for o in action.option_strings}
        return ", ".join(w for w in words if w.startswith("--") and w not in known)
    if words[:2] == ["cvat-bridge", "--project"]:
        words = [words[0], *words[3:]]
    named = dict(commands.command_paths())
    groups = {" ".join(path.split()[:-1]) for path in named}
    for count in (3, 2):
        path = " ".join(words[:count])
        if path in named:
            options = {o for parameter in named[path].params for o in parameter.opts}
            strange = [w for w in words[count:] if w.startswith("-") and w not in options]
            return ", ".join(strange)
    whole = {"--version", "--help", "--install-completion"}
    return "" if set(words[1:]) <= whole or " ".join(words[:2]) in groups else "no such command"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_commands_that_a_page_tells_to_type_exist(page: Path):
    assert {" ".join(words): fault for words in typed(page) if (fault := fault_of(words))} == {}


def test_the_commands_are_looked_at():
    readme = [" ".join(words) for words in typed(ROOT / "README.md")]

    assert len(readme) > 12
    assert fault_of(["cvat-bridge", "roundabout"]) == "no such command"
    assert fault_of(["cvat-bridge", "round", "--wet-run"]) == "--wet-run"
    assert fault_of(["make", "coffee"]) == "no target coffee"


def test_the_yaml_that_pages_show_is_a_configuration(tmp_path):
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    path = tmp_path / "cvat-bridge.yaml"

    assert len(blocks) >= 2
    for block in blocks:
        path.write_text(block, encoding="utf-8")
        load_config(path)


def test_the_documentation_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an announcement, see the Makefile
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "reference" / "configuration.html").read_text(encoding="utf-8")
    assert "Frames that a round takes." in page
    assert (tmp_path / "contributing.html").is_file()
    assert "fonts.googleapis" not in page
