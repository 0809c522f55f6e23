"""`cvat-bridge up`: what it started ends with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def listens(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


def test_the_function_host_ends_with_up_when_the_system_ends_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        host, port = one.getsockname()[1], two.getsockname()[1]
    (tmp_path / "b.yaml").write_text(
        "home: home\ncvat: {project: 1, url: 'http://127.0.0.1:9'}\n"
        f"function_host: {{url: 'http://127.0.0.1:{host}'}}\nservice: {{port: {port}}}\n"
    )
    command = [sys.executable, "-m", "cvat_bridge.cli", "up", "--config", "b.yaml"]
    environment = {**os.environ, "CVAT_ACCESS_TOKEN": "token", "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    until = time.monotonic() + 300
    while not listens(port) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
    assert listens(host), (tmp_path / "log").read_text()

    process.terminate()
    process.wait(120)

    assert not listens(host)
