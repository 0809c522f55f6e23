"""What deploy/ tells docker, Kubernetes and CVAT agrees with the programs and the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.config import load_config
from serverless.host.server import main as host

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
NUCLIO = ("CVAT_NUCLIO_HOST", "CVAT_NUCLIO_PORT", "CVAT_NUCLIO_INVOKE_METHOD")
# The two ways to run it: the containers by name, and where CVAT finds each.
WAYS = ("compose.yaml", "kubernetes.yaml")


def read(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def commands(name: str) -> dict[str, list[str]]:
    """Return the command of each container."""
    if name == "compose.yaml":
        return {key: one["command"] for key, one in read(name)[0]["services"].items()}
    (pod,) = [one["spec"]["template"]["spec"] for one in read(name) if one["kind"] == "Deployment"]
    return {one["name"]: one["command"] for one in pod["containers"]}


def addresses(name: str) -> dict[str, str]:
    """Return under which name CVAT reaches the webhooks' port and the functions' port."""
    if name == "compose.yaml":
        services = read(name)[0]["services"]
        found = [one["networks"]["cvat"]["aliases"][0] for one in services.values()]
        return {"bridge": found[0], "functions": found[1]}
    names = [one["metadata"]["name"] for one in read(name) if one["kind"] == "Service"]
    return {key: f"{key}.cvat.svc.cluster.local" for key in names}


def told_to_cvat(name: str) -> dict[str, str]:
    """Return the settings of CVAT that belong to a way of running."""
    if name == "compose.yaml":
        services = read("compose.cvat.yaml")[0]["services"]
        each = [services[s]["environment"] for s in ("cvat_server", "cvat_worker_annotation")]
        assert each[0] == each[1]
        return {key: str(value) for key, value in each[0].items()}
    rows = read("values.cvat.yaml")[0]["cvat"]["backend"]["extensionEnv"]
    return {row["name"]: row["value"] for row in rows}


def shown_config(name: str) -> str:
    """Return the configuration that the comment at the head of a file shows."""
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line[4:] for line in lines if re.match(r"#   \w+: ", line))


@pytest.mark.parametrize("name", sorted(path.name for path in DEPLOY.glob("*.yaml")))
def test_it_is_yaml(name: str) -> None:
    assert all(isinstance(part, dict) for part in read(name))


@pytest.mark.parametrize("name", WAYS)
def test_the_programs_know_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = commands(name)
    with pytest.raises(SystemExit):
        host(["--help"])
    known = capsys.readouterr().out
    options = [word for word in asked["function-host"] if word.startswith("--")]
    assert asked["function-host"][:3] == ["python", "-m", "serverless.host"]
    assert [option for option in options if option not in known] == []

    program, command, *rest = asked["bridge"]
    told = CliRunner().invoke(app, [command, "--help"]).output
    assert program == "cvat-bridge"
    assert [word for word in rest if word.startswith("--") and word not in told] == []


@pytest.mark.parametrize("name", WAYS)
def test_cvat_finds_the_function_host_where_it_listens(name: str) -> None:
    told, command = told_to_cvat(name), commands(name)["function-host"]
    assert told["CVAT_NUCLIO_HOST"] == addresses(name)["functions"]
    assert told["CVAT_NUCLIO_PORT"] == command[command.index("--port") + 1]
    assert told["CVAT_NUCLIO_INVOKE_METHOD"] == "dashboard"


@pytest.mark.parametrize("name", WAYS)
def test_the_configuration_that_is_shown_fits(name: str, tmp_path: Path) -> None:
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text(shown_config(name), encoding="utf-8")
    config, command = load_config(path), commands(name)["function-host"]
    where = addresses(name)

    # Both read one folder, which a volume keeps.
    assert f"{config.home}/functions" == command[command.index("--store") + 1]
    assert str(config.home) in (DEPLOY / name).read_text().split("\nname:")[-1]
    assert config.service.public_url == f"http://{where['bridge']}:{config.service.port}"
    port = told_to_cvat(name)["CVAT_NUCLIO_PORT"]
    assert config.function_host.url == f"http://{where['functions']}:{port}"


def test_the_readme_names_the_same_settings() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for setting in NUCLIO:
        assert setting in readme
        assert all(setting in told_to_cvat(name) for name in WAYS)
