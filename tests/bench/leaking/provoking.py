"""Provoke the failures, and count those in which a secret came to light."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.bench.figures import Figure
from tests.bench.leaking.failures import SECRETS, Failure, failures
from tests.bench.leaking.watching import Seen, Watch
from tests.fakes.scripted import scripted

_SECONDS = 60.0
_AT_ONCE = 4  # most of the time they wait before they try again


def provoke_all(only: str = "") -> Iterator[tuple[str, Seen]]:
    """Provoke those whose name holds a text; gives each once it is over."""
    wanted = [one for one in failures() if only in one.name]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield from zip((one.name for one in wanted), threads.map(provoke, wanted), strict=True)


def figure() -> Figure:
    """Return secret_leaks: how many of the failures brought a secret to light."""
    found = dict(provoke_all())
    # What ends by a defect of its own proves nothing about the failure that was meant.
    broken = [name for name, seen in found.items() if "Traceback" in seen.said]
    leaks = {name: seen.places for name, seen in found.items() if seen.places}
    told = "; ".join(f"{name}: {', '.join(places)}" for name, places in leaks.items())
    failed = sum(seen.code != 0 for seen in found.values())
    note = f"{len(found)} failures provoked, {failed} of them ended a command or a service"
    note += f"; with a trace: {', '.join(broken)}" if broken else ""
    return Figure("secret_leaks", len(leaks), "failures", note=f"{note}. {told}".strip())


def provoke(failure: Failure) -> Seen:
    """Provoke one in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="leaking-") as scratch,
        scripted(failure.reply) as cvat,
        scripted(failure.reply) as other,
    ):
        folder = Path(scratch) / "here"
        folder.mkdir()
        watch = Watch(folder, SECRETS)
        host = other.url.removeprefix("http://")
        port = _free_port()
        known = {"cvat": cvat.url, "other": host, "port": port}
        if failure.config:
            watch.write("cvat-bridge.yaml", failure.config.format(**known))
        arguments = [_filled(word, known) for word in failure.arguments]
        environment = {name: _filled(word, known) for name, word in failure.environment.items()}
        beside = _asking(failure, folder, port) if failure.runs else None
        return watch.run(arguments, environment, seconds=_SECONDS, beside=beside)


def _filled(word: str, known: Mapping[str, object]) -> str:
    for name, value in known.items():
        word = word.replace(f"{{{name}}}", str(value))
    return word


def _asking(failure: Failure, folder: Path, port: int) -> Callable[[], str]:
    """Ask the service everything, once it listens; the text is what it answered."""
    output = folder.parent / f"{folder.name}.out"

    def ask() -> str:
        told = re.search(r'"url": "(http://[^"]+)"', output.read_text(errors="replace"))
        url = told[1] if told else f"http://127.0.0.1:{port}"
        answers = []
        try:
            for path, method, headers in failure.asks:
                reply = requests.request(method, url + path, headers=headers, timeout=20)
                answers.append(f"{reply.status_code} {dict(reply.headers)} {reply.text}")
        except requests.RequestException:
            return ""  # it does not listen yet
        return "\n".join(answers)

    return ask


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
