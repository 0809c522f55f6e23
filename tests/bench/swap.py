"""A model is promoted while people call it: how soon the new one answers, and what fails.

Real processes: the sandbox in CVAT's place, the function host, and several clients that ask for
automatic annotation of a frame without a pause. The versions are two exported models whose answers
differ, so every answer tells which one gave it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests

from cvat_bridge.config import Config, load_config
from cvat_bridge.cvat.client import connect
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.project import prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.home import Home
from cvat_bridge.models import serving
from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from tests.bench.figures import Figure, write
from trainer.detector import FitConfig
from trainer.registry.registry import Registry
from trainer.runs.run import run_fit

CLIENTS, SWAPS = 6, 8


@dataclass
class Called:
    """What one client saw: (when asked, when answered, which answer), and what failed."""

    answers: list[tuple[float, float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """Swap two models back and forth under load and write both figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.swap", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder in COCO form; else images are made")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--swaps", type=int, default=SWAPS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-swap-") as folder:
        write("training", measure(Path(folder), given))


def measure(folder: Path, given: argparse.Namespace) -> list[Figure]:
    """Fit two models, serve one, and promote the other and back while clients call."""
    data = given.data or write_scenes(folder / "scenes", pool=12, holdout=4)
    home = Home(folder / "home")
    home.functions.mkdir(parents=True)
    with (
        hosting(home.functions, builtin=False) as host,
        running(folder / "sandbox", function_host=host) as sandbox,
        connect(sandbox.url, token=sandbox.admin_token, cache_dir=folder / "cache") as gateway,
    ):
        prepared = prepare(sandbox.url, sandbox.admin_token, "swap", read_truth(data))
        config = configured(folder, sandbox.url, prepared.project_id)
        registry = Registry(None, home.root)
        for seed in (1, 2):
            asked = FitConfig("centernet", seed=seed, extra={"steps": 60, "width": 16})
            run = run_fit(data, asked, folder / f"fit-{seed}", split="none", report=lambda _: None)
            registry.register(serving.project_key(prepared.project_id), run.bundle)
        ask = Asking(sandbox.url, sandbox.admin_token, config, prepared.task_id)
        known = answers_of(ask, lambda n: serving.promote(gateway, config, home, registry, n))
        stop = threading.Event()
        calls = [Called() for _ in range(given.clients)]
        threads = [threading.Thread(target=load, args=(ask, stop, call)) for call in calls]
        for thread in threads:
            thread.start()
        time.sleep(2)
        seconds = []
        for swap in range(given.swaps):
            wanted = "12"[swap % 2]
            began = time.perf_counter()
            if swap % 4 == 3:
                now, _ = serving.rollback(gateway, config, home, registry)
            else:
                now, _ = serving.promote(gateway, config, home, registry, wanted)
            time.sleep(4)
            seconds.append(settled(calls, known, str(now.number), began))
        stop.set()
        for thread in threads:
            thread.join()
    return figures(calls, known, seconds)


class Asking:
    """One call of CVAT's editor, annotate this frame; the answer as text, raised when it failed."""

    def __init__(self, url: str, token: str, config: Config, task_id: int) -> None:
        self._url = f"{url}/api/lambda/functions/{config.function_host.function_id}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._body = {"task": task_id, "frame": 0, "threshold": 0.01}

    def __call__(self) -> str:
        answer = requests.post(self._url, json=self._body, headers=self._headers, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return json.dumps(found, sort_keys=True)


def answers_of(ask: Asking, promote: Callable[[str], object]) -> dict[str, str]:
    """Return which answer is which version's; the old one answers while the new one loads."""
    known: dict[str, str] = {}
    for number in ("1", "2"):
        promote(number)
        until = time.monotonic() + 10
        while (answer := ask()) in known:
            if time.monotonic() > until:
                raise ValueError(f"version {number} answers as the one before: {answer[:200]}")
        known[answer] = number
    return known


def load(ask: Asking, stop: threading.Event, called: Called) -> None:
    """Call without a pause until told to stop."""
    while not stop.is_set():
        began = time.perf_counter()
        try:
            answer = ask()
        except requests.RequestException as error:
            called.failures.append(str(error))
        else:
            called.answers.append((began, time.perf_counter(), answer))


def settled(calls: Sequence[Called], known: dict[str, str], wanted: str, began: float) -> float:
    """Return the seconds from the word to promote to the last answer of the old model.

    Raises ValueError when the old model still answered at the end.
    """
    rows = [row for call in calls for row in list(call.answers) if row[0] >= began]
    late = [end for _, end, answer in rows if known.get(answer) != wanted]
    fresh = [end for start, end, answer in rows if known.get(answer) == wanted]
    if not fresh:
        raise ValueError(f"version {wanted} never answered within 4 s")
    if late and max(late) > max(fresh):
        raise ValueError(f"another version than {wanted} still answered after 4 s")
    first = min(fresh) - began
    return max(first, max(late) - began) if late else first


def figures(
    calls: Sequence[Called], known: dict[str, str], seconds: Sequence[float]
) -> list[Figure]:
    """Return how long the slowest swap took, and how many calls failed or were of neither model."""
    answered = [row for call in calls for row in call.answers]
    strange = sum(answer not in known for _, _, answer in answered)
    failed = sum(len(call.failures) for call in calls)
    waits = np.array([end - start for start, end, _ in answered])
    note = (
        f"{len(answered)} calls of {len(calls)} clients over {len(seconds)} promotions and "
        f"rollbacks through sandbox and host; answer median {np.median(waits):.3f} s, "
        f"slowest {waits.max():.3f} s"
    )
    spread = f"slowest of {len(seconds)}, median {np.median(seconds):.2f} s: the word to the last "
    return [
        Figure("swap_seconds", max(seconds), "s", note=f"{spread}answer of the old model"),
        Figure("swap_failed_requests", failed + strange, "requests", note=note),
    ]


def configured(folder: Path, url: str, project_id: int) -> Config:
    """Write and read the bridge's configuration."""
    path = folder / "bridge.yaml"
    values = {"home": str(folder / "home"), "cvat": {"url": url, "project": project_id}}
    path.write_text(json.dumps(values), encoding="utf-8")
    return load_config(path)


if __name__ == "__main__":
    main()
