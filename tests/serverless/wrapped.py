"""A function under Nuclio's own Python wrapper, in the place of Nuclio's processor.

The wrapper is Nuclio's file and in no package: NUCLIO_WRAPPER says where a copy of its
`_nuclio_wrapper.py` lies (of 1.14.1: pkg/processor/runtime/python/py/). It needs msgpack.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

VARIABLE = "NUCLIO_WRAPPER"
_SECONDS = 120.0


def missing() -> str:
    """Return why no function can be driven here, "" where it can."""
    path = os.environ.get(VARIABLE, "")
    if not path:
        return f"{VARIABLE} does not name Nuclio's _nuclio_wrapper.py"
    if not Path(path).is_file():
        return f"{VARIABLE}: there is no file {path}"
    return "" if importlib.util.find_spec("msgpack") else "msgpack is not installed"


class Wrapped:
    """One worker. folder: what the image holds at /opt/nuclio; handler: as in function.yaml."""

    def __init__(
        self,
        folder: Path,
        handler: str,
        environment: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> None:
        self.logged: list[dict[str, Any]] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="nuclio-")
        paths = [Path(self._scratch.name) / name for name in ("event.sock", "control.sock")]
        listeners = [_listening(path) for path in paths]
        command = [sys.executable, "-P", "-u", os.environ[VARIABLE], "--handler", handler]
        command += ["--event-socket-path", str(paths[0]), "--control-socket-path", str(paths[1])]
        command += ["--namespace", "nuclio", "--worker-id", "0", "--trigger-kind", "http"]
        command += ["--trigger-name", "myHttpTrigger", "--log-level", "INFO", *options]
        packages = str(Path(_msgpack().__file__ or "").parents[1])
        paths_of_python = os.pathsep.join([str(folder), packages])
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": paths_of_python, **environment}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._sockets = [self._accepted(one) for one in listeners]
        self._lines = self._sockets[0].makefile("r", encoding="utf-8")
        self._answer("s")

    def call(self, body: bytes, **changes: Any) -> dict[str, Any]:
        """Send one event and return the response that the processor would answer with."""
        event = {
            "body": body,
            "content_type": "application/json",
            "trigger": {"kind": "http", "name": "myHttpTrigger"},
            "headers": {"Content-Type": "application/json", "User-Agent": "CVAT/2.73.0"},
            "fields": {},
            "id": "1",
            "method": "POST",
            "path": "/",
            "url": "/",
            "size": len(body),
            "timestamp": int(time.time()),
            "shard_id": 0,
            "num_shards": 0,
            "type": "",
            "type_version": "",
            "version": "",
            **changes,
        }
        packed = _msgpack().packb(event)
        self._sockets[0].sendall(len(packed).to_bytes(4, "big") + packed)
        response: dict[str, Any] = json.loads(self._answer("r"))
        return response

    def _answer(self, kind: str) -> str:
        """Return what follows the letter of that kind: s started, r response; l is a log line."""
        for line in self._lines:
            if line[0] == kind:
                return line[1:]
            if line[0] == "l":
                self.logged.append(json.loads(line[1:]))
        raise RuntimeError(f"the wrapper ended: {self._output()}")

    def _accepted(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(0.2)
        until = time.monotonic() + _SECONDS
        with listener:
            while self.process.poll() is None and time.monotonic() < until:
                try:
                    accepted = listener.accept()[0]
                except TimeoutError:
                    continue
                accepted.settimeout(_SECONDS)
                return accepted
        raise RuntimeError(f"the wrapper did not connect: {self._output()}")

    def _output(self) -> str:
        self.process.kill()
        return self.process.communicate()[0][-3000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        for one in self._sockets:
            one.close()
        self.process.kill()
        self.process.communicate()
        self._scratch.cleanup()


def _msgpack() -> ModuleType:
    return importlib.import_module("msgpack")


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    return listener
