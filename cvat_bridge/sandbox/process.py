"""The sandbox as a process of its own, for tests and the demo."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox.accounts.users import SandboxUser

WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: where it listens and who may do everything.

    admin_token is a personal access token that may write.
    """

    url: str
    admin: SandboxUser
    admin_token: str
    data_dir: Path
    pid: int


def _command(
    data_dir: Path,
    port: int,
    users: Sequence[SandboxUser],
    function_host: str | None,
    share: Path | None,
    version: str | None,
    analytics: bool,
) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "cvat_bridge.sandbox",
        "--data",
        str(data_dir),
        "--port",
        str(port),
    ]
    for user in users:
        role = "admin" if user.is_admin else "user"
        command += ["--user", f"{user.username}:{user.password}:{role}"]
    if function_host:
        command += ["--function-host", function_host]
    if share:
        command += ["--share", str(share)]
    if version:
        command += ["--version", version]
    if analytics:
        command += ["--analytics"]
    return command


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(
    data_dir: Path,
    *,
    port: int = 0,
    users: Sequence[SandboxUser] = (),
    function_host: str | None = None,
    share: Path | None = None,
    version: str | None = None,
    analytics: bool = False,
    seconds: float = WAIT_SECONDS,
) -> Iterator[Sandbox]:
    """Start a sandbox process, wait until it answers, and stop it at the end.

    The same data_dir brings back what an earlier process stored. RuntimeError, with what the
    process wrote, when it does not come up within so many seconds.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "sandbox.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            _command(data_dir, port, users, function_host, share, version, analytics),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        ready = _first_line(process, seconds)
        if ready is None:
            raise RuntimeError(f"the sandbox did not start: {log.read_text()[-2000:]}")
        admin = SandboxUser(ready["admin"], ready["password"], is_admin=True)
        yield Sandbox(ready["url"], admin, ready["token"], data_dir, process.pid)
    finally:
        _stop(process)
        if process.stdout:
            process.stdout.close()


def _first_line(process: subprocess.Popen[str], seconds: float) -> dict[str, Any] | None:
    """Return what the process says when it is ready; None when it ends or stays silent."""
    silent = threading.Timer(seconds, process.kill)
    silent.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        silent.cancel()
    return json.loads(line) if line else None
