"""The first hour of a newcomer: commands as the README has them, on the sandbox, as processes."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from tests.bench.figures import Figure, write
from tests.fakes.wrong_settings import WRONG

README = Path(__file__).parents[2] / "README.md"
BRIDGE = (sys.executable, "-m", "cvat_bridge.cli")
WAIT = 600.0  # seconds for anything of these, on a busy machine
NOTHING_TO_DO = 3
BESIDE = (
    ("status",),
    ("check",),
    ("doctor",),
    ("select",),
    ("mistakes",),
    ("round", "--dry-run"),
    ("models", "list"),
    ("round",),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write first-hour.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.first_hour", description=__doc__)
    parser.add_argument("--data", help="not used: the trial project has its own images")
    parser.add_argument("--demo", type=Path, help="folder of a demo that ran; else one is run")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        figures = [*_first_job(folder), _dead_address(folder), _faults(folder)]
        figures += _champion(given.demo or _demo(folder))
    write("first-hour", figures)


def _first_job(folder: Path) -> Iterator[Figure]:
    """From `sandbox --demo` to a ranked job, and every-day commands beside the service.

    The commands are the README's, word for word, up to the first that leaves a ranked job; the
    token is what the sandbox prints, as the README says.
    """
    begin, *others = _readme_commands()
    began = time.monotonic()
    with _started(folder, *begin) as sandbox:
        steps = _read_until(sandbox, "Ctrl-C")
        token = re.search(r"export CVAT_ACCESS_TOKEN=(\S+)", steps)[1]
        environment = {"CVAT_ACCESS_TOKEN": token}
        commands = [(" ".join(begin), 0)]
        jobs: list[str] = []
        for words in others:
            commands.append((" ".join(words), _run(folder, words, environment).returncode))
            config = words[words.index("--config") + 1]
            jobs = _ranked_jobs(_url_of(folder / config), token)
            if jobs or commands[-1][1]:
                break
        wrong = [name for name, code in commands if code]
        done = bool(jobs) and not wrong
        note = f"{'; '.join(name for name, _ in commands)}: {len(jobs)} ranked jobs"
        yield Figure("commands_to_first_ranked_job", len(commands) if done else None, "", note=note)
        seconds = round(time.monotonic() - began, 1)
        value = seconds if done else None
        yield Figure("seconds_to_first_ranked_job", value, "s", note=f"{note}; {_load()}")
        yield _beside(folder, config, environment)


def _readme_commands() -> list[list[str]]:
    """Return what follows `cvat-bridge` in each line of the README's first try."""
    text = README.read_text(encoding="utf-8")
    section = text.partition("## A first try")[2].partition("\n## ")[0]
    return [
        line.partition(" #")[0].split()[1:]
        for line in section.splitlines()
        if line.startswith("cvat-bridge ")
    ]


def _url_of(config: Path) -> str:
    return str(yaml.safe_load(config.read_text(encoding="utf-8"))["cvat"]["url"])


def _beside(folder: Path, config: str, environment: dict[str, str]) -> Figure:
    path = folder / config
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    host = f"http://127.0.0.1:{_free_port()}"
    content["function_host"]["url"], content["service"]["port"] = host, _free_port()
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with _started(folder, "up", "--config", config, environment=environment) as service:
        _read_until(service, "function host answers")
        until = time.monotonic() + WAIT
        while not _listens(content["service"]["port"]) and time.monotonic() < until:
            time.sleep(0.5)
        codes = {
            " ".join(words): _run(folder, [*words, "--config", config], environment).returncode
            for words in BESIDE
        }
    # doctor says 1 where something is not as it should be: it looked, which is what is asked.
    fine = {"doctor": (0, 1)}
    well = [name for name, code in codes.items() if code in fine.get(name, (0, NOTHING_TO_DO))]
    refused = sorted(set(codes) - set(well))
    note = f"of {len(codes)}" + (f"; refused: {', '.join(refused)}" if refused else "")
    return Figure("commands_beside_service", len(well) / len(codes), "share", note=note)


def _dead_address(folder: Path) -> Figure:
    seconds = []
    path = folder / "dead.yaml"
    address = f"http://127.0.0.1:{_free_port()}"
    path.write_text(f"cvat: {{url: '{address}', project: 1}}\n", encoding="utf-8")
    environment = {"CVAT_ACCESS_TOKEN": "token"}
    for words in (
        ["init", "--url", address, "--project", "1", "--config", "new.yaml"],
        ["doctor", "--config", "dead.yaml"],
    ):
        began = time.monotonic()
        _run(folder, words, environment)
        seconds.append(time.monotonic() - began)
    note = f"the slower of init and doctor, starting Python included; {_load()}"
    return Figure("dead_address_seconds", round(max(seconds), 2), "s", note=note)


def _faults(folder: Path) -> Figure:
    content: dict[str, object] = {}
    for key, value in WRONG.items():
        section, _, name = key.rpartition(".")
        place = content.setdefault(section, {}) if section else content
        assert isinstance(place, dict)
        place[name] = float("nan") if value == ".nan" else value
    (folder / "wrong.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    said = _run(folder, ["check", "--config", "wrong.yaml"], {}).stderr
    found = 0
    for key in WRONG:
        section, _, name = key.rpartition(".")
        found += key in said or f"{section}: {name}" in said
    return Figure("config_faults_found", found, f"of {len(WRONG)} planted, by one `check`")


def _demo(folder: Path) -> Path:
    out = folder / "demo"
    subprocess.run(
        [sys.executable, "-m", "cvat_bridge.demo", "--out", str(out), "--rounds", "1"], check=True
    )
    return out


def _champion(demo: Path) -> list[Figure]:
    report = json.loads((demo / "report.json").read_text(encoding="utf-8"))
    return [
        Figure(f"demo_{name}", float(report[name]), "1 where CVAT's list of models shows it")
        for name in ("champion_listed", "champion_answers")
    ]


def _ranked_jobs(url: str, token: str) -> list[str]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{url}/api/tasks", headers=headers, timeout=60).json()["results"]
    ranked = [task["id"] for task in answer if not task["name"].startswith("trial")]
    jobs: list[str] = []
    for task in ranked:
        asked = {"task_id": task, "page_size": 100}
        found = httpx.get(f"{url}/api/jobs", headers=headers, params=asked, timeout=60)
        jobs += [str(job["id"]) for job in found.json()["results"]]
    return jobs


def _run(
    folder: Path, words: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BRIDGE, *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT,
    )


@contextmanager
def _started(
    folder: Path, *words: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*BRIDGE, *words],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what a process says up to a line that holds the text."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise RuntimeError(f"it ended before it said {text!r}: {said}")


def _load() -> str:
    """Return how busy the machine is, without which a time means little."""
    return f"load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
