"""One arm of the demo: a bridge process serves a project while a simulated person works."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from cvat_bridge.config import load_secrets
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.demo.annotator import Annotator
from cvat_bridge.demo.calls import RetryCallback
from cvat_bridge.demo.project import Prepared
from cvat_bridge.demo.sentences import decision_sentence
from cvat_bridge.errors import BridgeError
from cvat_bridge.home import Home
from cvat_bridge.projects import load_project
from cvat_bridge.service.webhooks import WEBHOOK_PATH

STATUS_SECONDS = 60.0
CVAT_SECONDS = 300.0  # what the bridge waits for one answer of a busy CVAT
LOOK_SECONDS = 0.5

RoundCallback = Callable[[int, str], None]  # the round a person is in, and what happens


@dataclass(frozen=True)
class ArmPlan:
    """What every arm has in common. limit: seconds an arm may take. min_score: see the bridge's."""

    rounds: int
    budget: int
    trainer: Mapping[str, Any]
    job_size: int = 10
    min_score: float | str = "auto"
    seed: int = 7
    limit: float = 3600.0


def run_arm(
    name: str,
    strategy: Mapping[str, Any],
    *,
    url: str,
    token: str,
    prepared: Prepared,
    annotator: Annotator,
    store: Path,
    folder: Path,
    host_url: str,
    plan: ArmPlan,
    on_round: RoundCallback,
    on_retry: RetryCallback,
) -> list[dict[str, Any]]:
    """Run the rounds of an arm; return them in the form of report.json.

    store, folder: absolute, since the function host and the bridge's configuration are in
    different folders. on_retry: called for each question to the bridge that is asked again.
    A row is one turn of the loop: the ranked task, what a person did to it, and the model learnt
    with it. Raises BridgeError when the bridge dies or the time is up.
    """
    if not (store.is_absolute() and folder.is_absolute()):
        raise BridgeError(f"the store and the folder of an arm must be absolute: {store}, {folder}")
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    config = {
        "home": str(folder / "home"),
        "cvat": {"url": url, "project": prepared.project_id, "timeout": CVAT_SECONDS},
        "active_learning": {"budget": plan.budget, "seed": plan.seed, **strategy},
        "trainer": {"seed": plan.seed, **plan.trainer},
        "rounds": {
            "retrain_after": plan.budget,
            "job_size": plan.job_size,
            "assignees": [annotator.username],
        },
        "pre_annotation": {"min_score": plan.min_score},
        "service": {"port": port, "public_url": address, "poll_seconds": 20},
        "function_host": {
            "url": host_url,
            "function_id": function_id(name),
            "store": str(store),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cvat-bridge.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    _register(path, token, address)
    with bridge(path, token, folder / "bridge.log") as process:
        log = folder / "bridge.log"
        return _work(process, address, prepared, annotator, plan, on_round, on_retry, log)


def function_id(name: str) -> str:
    """Return the id of an arm's champion in CVAT's list of models."""
    return f"{name}-champion"


def _work(
    process: subprocess.Popen[bytes],
    address: str,
    prepared: Prepared,
    annotator: Annotator,
    plan: ArmPlan,
    on_round: RoundCallback,
    on_retry: RetryCallback,
    log: Path,
) -> list[dict[str, Any]]:
    deadline = time.monotonic() + plan.limit
    done: Counter[str] = Counter()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BridgeError(f"the bridge ended with {process.returncode}: {_tail(log)}")
        status = _status(address, Home(log.parent / "home"), on_retry)
        if status is None:
            time.sleep(LOOK_SECONDS)
            continue
        rows = {row["round"]: row for row in status["rounds"]}
        if "serves" in rows.get(plan.rounds + 1, {}).get("figures", {}):
            return [_row(number, rows) for number in range(1, plan.rounds + 1)]
        number = min(max(rows, default=1), plan.rounds)
        jobs = annotator.open_jobs(prepared.project_id) if len(rows) <= plan.rounds else []
        for job in jobs:
            done += annotator.finish(job, prepared.labels)
            on_round(number, f"a person finished job {job['id']} ({job['frame_count']} frames)")
        if not jobs:
            step = rows.get(max(rows, default=0), {}).get("state", "starting")
            on_round(number, f"{step} {status['progress'] if step in ('fit', 'predict') else ''}")
            time.sleep(LOOK_SECONDS)
    raise BridgeError(f"no end after {plan.limit:.0f} s; the bridge's log: {_tail(log)}")


def _row(number: int, rows: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Join what round n put before people with what was learnt of it at the begin of n + 1."""
    given, learnt = rows[number], rows[number + 1]["figures"]
    figures = given["figures"]
    return {
        "round": number,
        "labelled_frames": learnt["train"],
        "champion": learnt["champion"],
        "challenger": learnt["challenger"],
        "decision": {
            "promoted": learnt["promoted"],
            "sentence": decision_sentence(learnt),
            "reasons": learnt["reasons"],
        },
        "serves": learnt["serves"],
        "explanation": learnt.get("explanation", []),
        "trust": learnt.get("trust", {}).get("level", ""),
        "task_id": figures["task_id"],
        "jobs": [
            {"id": job["id"], "frames": job["frames"], "scores": job["scores"]}
            for job in figures["jobs"]
        ],
        "pre_annotations": given["corrected"],
        "strategy": figures.get("strategy", ""),
        "phase": figures.get("phase", ""),
        "advice": figures.get("advice", ""),
    }


def _register(config: Path, token: str, address: str) -> None:
    loaded = load_project(config)
    with connected(loaded, load_secrets({"CVAT_ACCESS_TOKEN": token})) as gateway:
        gateway.ensure_webhook(
            loaded.project_id, address + WEBHOOK_PATH, Home.of(loaded).webhook_secret()
        )


@contextmanager
def bridge(config: Path, token: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service of a configuration as a process, its log in a file; stop it at the end."""
    command = [
        sys.executable,
        "-m",
        "cvat_bridge.cli",
        "run",
        "--config",
        str(config),
        "--json",
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            env={**os.environ, "CVAT_ACCESS_TOKEN": token},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _status(address: str, home: Home, on_retry: RetryCallback) -> dict[str, Any] | None:
    """Ask the bridge how it stands; None while it is still starting, or too busy to answer."""
    try:
        token = {"Authorization": f"Bearer {home.service_token()}"}
        answer = httpx.get(f"{address}/status", headers=token, timeout=STATUS_SECONDS)
        answer.raise_for_status()
    except httpx.TimeoutException:
        on_retry(f"{address}/status: no answer within {STATUS_SECONDS:g} s; asked again")
        return None
    except httpx.TransportError:
        return None
    except httpx.HTTPStatusError as error:
        on_retry(f"{address}/status: status {error.response.status_code}; asked again")
        return None
    return dict(answer.json())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
