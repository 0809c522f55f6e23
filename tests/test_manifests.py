"""The files of deploy/: their schemas, how both processes are closed in, the image's layers."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.config import Config
from cvat_bridge.workers.taking import chosen_queues
from serverless.host.app import HostSettings, create_app
from tests.test_deploy import DEPLOY, ROOT, WAYS, read

COMPOSE = sorted(path.name for path in DEPLOY.glob("compose*.yaml"))
TMP = "/tmp"  # noqa: S108 - of the container
UNITS = {"G": 1000**3, "Gi": 1024**3, "M": 1000**2, "Mi": 1024**2}


def bytes_of(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", text).groups()
    return int(number) * UNITS[unit]


def deployment() -> dict[str, Any]:
    (found,) = [one for one in read("kubernetes.yaml") if one["kind"] == "Deployment"]
    return found


def containers() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in deployment()["spec"]["template"]["spec"]["containers"]}


def services() -> dict[str, dict[str, Any]]:
    return read("compose.yaml")[0]["services"]


def merged(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Lay a strategic merge patch over a resource: lists of named things go by their names."""
    made = copy.deepcopy(base)
    for key, value in patch.items():
        old = made.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            made[key] = merged(old, value)
        elif key == "containers":
            names = [one["name"] for one in old]
            for one in value:
                at = names.index(one["name"])
                old[at] = merged(old[at], one)
        else:
            made[key] = value
    return made


def test_compose_files_are_of_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    files = [str(DEPLOY / name) for name in COMPOSE]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)

    assert len(files) == 4
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("gpu", [False, True], ids=["plain", "gpu"])
def test_kubernetes_resources_are_of_its_schemas(gpu: bool) -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    resources = read("kubernetes.yaml")
    if gpu:
        (patch,) = read("kubernetes.gpu.yaml")
        resources = [merged(deployment(), patch)]
        (bridge, host) = resources[0]["spec"]["template"]["spec"]["containers"]
        assert bridge["resources"]["limits"] == {"memory": "12Gi", "nvidia.com/gpu": 1}
        assert "nvidia.com/gpu" not in host["resources"]["limits"]

    assert resources
    for one in resources:
        schemas.validate(one, "1.31", strict=True)


def test_workers_are_deployed_as_the_program_takes_them() -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    (resource,) = read("kubernetes.workers.yaml")
    schemas.validate(resource, "1.31", strict=True)
    (container,) = resource["spec"]["template"]["spec"]["containers"]
    commands = [container["command"]]
    commands += [one["command"] for one in read("compose.workers.yaml")[0]["services"].values()]
    options = CliRunner().invoke(app, ["worker", "--help"]).output

    assert len(commands) == 3
    for command in commands:
        assert command[:2] == ["cvat-bridge", "worker"]
        assert [word for word in command if word.startswith("--") and word not in options] == []
        assert chosen_queues(command[command.index("--queues") + 1])


def test_a_gpu_is_reserved_for_the_service_that_fits() -> None:
    (patch,) = read("compose.gpu.yaml")
    reserved = patch["services"]["bridge"]["deploy"]["resources"]["reservations"]["devices"]

    assert set(patch["services"]) == {"bridge"} <= set(services())
    assert reserved == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


@pytest.mark.parametrize("name", ["bridge", "function-host"])
def test_compose_closes_a_process_in(name: str) -> None:
    service = services()[name]

    assert service["user"] == "1000:1000"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert TMP in service["tmpfs"]
    assert service["restart"] == "unless-stopped"
    assert set(service["deploy"]["resources"]) == {"reservations", "limits"}


@pytest.mark.parametrize("name", ["bridge", "function-host"])
def test_kubernetes_closes_a_process_in(name: str) -> None:
    container = containers()[name]
    pod = deployment()["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert TMP in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(container["resources"]) == {"requests", "limits"}


def port_of(name: str) -> int:
    command = services()["function-host"]["command"]
    host = int(command[command.index("--port") + 1])
    return Config().service.port if name == "bridge" else host


@pytest.mark.parametrize("name", ["bridge", "function-host"])
def test_health_is_asked_where_a_process_answers(name: str) -> None:
    told = services()[name]["healthcheck"]["test"]
    container = containers()[name]
    (port,) = container["ports"]
    paths = {route.path for route in create_app(DEPLOY, HostSettings()).routes}

    assert told[:3] == ["CMD", "python", "-c"]
    assert f"127.0.0.1', {port_of(name)}," in told[3]
    assert "/healthz" in told[3] and "/healthz" in paths
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert port["containerPort"] == port_of(name)


def test_the_health_check_of_compose_tells_a_well_process_from_a_dead_one() -> None:
    from tests.fakes.scripted import Answer, scripted

    command = services()["function-host"]["healthcheck"]["test"][3]
    codes = []
    for status in (200, 503):
        with scripted(lambda _asked, status=status: Answer(status)) as server:
            port = server.url.rpartition(":")[2]
            script = command.replace("8070", port)
            codes.append(subprocess.run([sys.executable, "-c", script], check=False).returncode)
    dead = [sys.executable, "-c", command.replace("8070", port)]
    codes.append(subprocess.run(dead, capture_output=True, check=False).returncode)

    assert codes == [0, 1, 1]


@pytest.mark.parametrize("name", WAYS)
def test_the_function_host_has_room_for_what_it_takes(name: str) -> None:
    settings = HostSettings()
    taken = settings.memory_bytes + settings.bodies_bytes + 3 * settings.pixels
    resources = services()["function-host"]["deploy"]["resources"]
    if name == "kubernetes.yaml":
        resources = containers()["function-host"]["resources"]

    assert bytes_of(resources["limits"]["memory"]) > taken


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def test_the_image_is_built_as_images_should_be() -> None:
    found = instructions()
    runs = [what for word, what in found if word == "RUN"]
    known = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "ENV", "USER"}

    assert {word for word, _ in found} <= known
    assert [re.fullmatch(r"python:3\.\d+-slim-\w+", what) for word, what in found[:1]] != [None]
    assert all("--no-install-recommends" in run for run in runs if "apt-get install" in run)
    assert all("rm -rf /var/lib/apt/lists" in run for run in runs if "apt-get update" in run)
    assert all("--no-cache-dir" in run for run in runs if "pip install" in run)
    assert "sudo" not in " ".join(runs)
    assert [what for word, what in found if word == "USER"] == ["1000:1000"] == [found[-1][1]]
    assert [what for word, what in found if word == "WORKDIR" and not what.startswith("/")] == []


def test_an_edit_of_our_files_does_not_install_torch_again() -> None:
    """The layer of the dependencies copies nothing but what names them."""
    found = instructions()
    copies = [n for n, (word, _) in enumerate(found) if word == "COPY"]
    installs = [
        n for n, (word, what) in enumerate(found) if word == "RUN" and "pip install" in what
    ]

    assert [found[n][1] for n in copies] == ["pyproject.toml deploy/constraints.txt ./", ". ."]
    assert copies[0] < installs[0] < copies[1] < installs[1]
    assert "-c constraints.txt" in found[installs[0]][1]
    assert "--no-deps" in found[installs[1]][1]


def test_what_is_installed_by_hand_is_what_was_tried() -> None:
    """The README, the how-to and the image hold to the same versions."""
    for page in ("README.md", "docs/how-to/connect.md", "docs/how-to/upgrade.md"):
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        installs = [line for line in lines if line.startswith("pip install")]
        assert installs, page
        assert [line for line in installs if "-c deploy/constraints.txt" not in line] == [], page
