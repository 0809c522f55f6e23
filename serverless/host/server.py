"""The function host: answers CVAT in the place of Nuclio's dashboard and holds the models.

    python -m serverless.host --store DIR [--host 127.0.0.1] [--port 8070] [--upstream URL]

Point a CVAT at it by CVAT_NUCLIO_HOST, CVAT_NUCLIO_PORT and CVAT_NUCLIO_INVOKE_METHOD=dashboard.
It prints one line of JSON, `{"event": "listening", "url": …, "store": …}`, once it can be called.
Nobody signs in to call it, so it listens on loopback, or on the one address CVAT reaches it by.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from serverless.errors import HostError
from serverless.host.app import HostSettings, create_app
from serverless.host.connections import Bounds, server
from serverless.host.options import parser
from serverless.store.folders import shipped

_DEFAULTS = HostSettings()
_log = structlog.get_logger("host")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit code: 1 when it could not start, 2 wrong use."""
    options = parser(__doc__).parse_args(arguments)
    if open_to_all(options.host) and not options.listen_anyway:
        print(
            f"refusing to listen on {options.host}: nobody signs in to call a function, so every"
            " machine that reaches this one could. Name the address of the network that CVAT is"
            " on, or give --listen-anyway where that network is closed (a container's own).",
            file=sys.stderr,
        )
        return 2
    _log_to_stderr()
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    store = options.store.resolve()
    if not store.is_dir() and not options.shared:
        _log.warning(
            "the store does not exist yet; it must be the bridge's function_host.store, or "
            "`functions` in the bridge's home, for its models to be listed",
            store=str(store),
        )
    port = listener.getsockname()[1]
    name = f"[{options.host}]" if ":" in options.host else options.host
    settings = HostSettings(
        port=port,
        upstream=options.upstream,
        isolation=options.isolation,
        groups=dict(options.group),
        memory_bytes=options.memory_bytes,
        model_memory_bytes=options.model_memory_bytes,
        call_seconds=options.call_timeout,
        load_seconds=options.load_timeout,
        model_threads=options.model_threads,
        max_batch=options.max_batch,
        builtin=() if options.no_builtin else shipped(),
        shared=options.shared,
        follow_seconds=options.follow_seconds,
        ready=lambda: print(
            json.dumps({"event": "listening", "url": f"http://{name}:{port}", "store": str(store)}),
            flush=True,
        ),
    )
    bounds = Bounds(
        connections=options.max_connections,
        per_caller=max(1, options.max_connections // 2),
        head_seconds=options.head_timeout,
    )
    web = server(create_app(store, settings), bounds, timeout_graceful_shutdown=5)
    # The server raises the signal again when it has ended. A model that hangs holds its thread
    # for ever, and a plain exit would wait for it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    web.run(sockets=[listener])
    return 0


@contextmanager
def running(
    store: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    upstream: str | None = None,
    memory_bytes: int = _DEFAULTS.memory_bytes,
    builtin: bool = True,
    options: Sequence[str] = (),
    call_timeout: float = _DEFAULTS.call_seconds,
    log: Path | None = None,
    seconds: float = 60.0,
) -> Iterator[str]:
    """Run a host as a process of its own; gives its URL and ends it afterwards.

    builtin: whether it offers the functions that ship besides the store's. options: further ones
    of the command line.
    log: file for its log, else it goes to this process's stderr. seconds: how long to wait for
    the line that it listens. Raises HostError when it doesn't come.
    """
    command = [sys.executable, "-m", "serverless.host", "--store", str(store.resolve())]
    command += ["--host", host]
    command += ["--port", str(port), "--memory-bytes", str(memory_bytes)]
    command += ["--call-timeout", str(call_timeout)]
    command += ["--upstream", upstream] if upstream else []
    command += [] if builtin else ["--no-builtin"]
    command += options
    with (log or Path(os.devnull)).open("ab") as file:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=file if log else None, text=True
        )
        try:
            yield _url(process, seconds, log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _url(process: subprocess.Popen[str], seconds: float, log: Path | None) -> str:
    until = time.monotonic() + seconds
    where = f"; see {log}" if log else ""
    assert process.stdout is not None  # noqa: S101 - it was asked for above
    while time.monotonic() < until:
        ready, _, _ = select.select([process.stdout], [], [], 0.2)
        if not ready:
            continue
        line = process.stdout.readline()
        if not line:
            raise HostError(f"the function host ended with exit code {process.wait()}{where}")
        event = json.loads(line)
        if event.get("event") == "listening":
            return str(event["url"])
    raise HostError(f"the function host did not listen within {seconds:g} s{where}")


def open_to_all(host: str) -> bool:
    """Say whether this address means every address of the machine."""
    try:
        return ipaddress.ip_address(host or "0.0.0.0").is_unspecified  # noqa: S104 - refused
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Callers that come between the line on stdout and the first accept wait here.
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
