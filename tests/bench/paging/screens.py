"""The page of a large project: server time and size of its screens, requests, accessibility.

    python -m tests.bench.paging.screens

100,000 labelled objects, 20 model versions and a pool of 100,000 frames, as tables of drawn
numbers (see `speed.py`); a real service over the sandbox answers. With a Chromium on the
machine it also counts requests to elsewhere and what axe-core finds serious.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import requests

from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import AssetGroup, JobEffort
from cvat_bridge.ledger.records import Correction, FrameFacts, KnownLabel, SelectedFrame
from cvat_bridge.mistakes.disputes import Disputes
from cvat_bridge.mistakes.listing import MOST as LISTED
from cvat_bridge.mistakes.listing import keep_list
from cvat_bridge.mistakes.ranking import Suspect
from cvat_bridge.sandbox import SandboxUser, running
from tests.bench.figures import Figure, write
from tests.bench.paging.speed import drawn_home
from tests.cvat_bridge.web.records import record
from tests.cvat_bridge.web.serving import Served, browser_of, serious_faults, served
from tests.cvat_bridge.web.spotted import FUNCTION, finish, make_project, offer, register

AREA = "page"
OBJECTS, POOL, VERSIONS, REPEATS = 100_000, 100_000, 20, 20
PERSON = SandboxUser("mira", "mira-pass")
_OWN = re.compile(r"(screen_ms_p95|screen_kb)/|outside_requests$|axe_serious$")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the figures into tests/bench/results/page.json."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.paging.screens", description=__doc__
    )
    parser.add_argument("--data", help="read by other areas")
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--pool", type=int, default=POOL)
    given = parser.parse_args(arguments)
    figures = measure(given.objects, given.pool)
    write(AREA, figures, stale=lambda name: _OWN.match(name) is not None)


def measure(objects: int = OBJECTS, pool: int = POOL) -> list[Figure]:
    """Serve the page of such a project and measure its screens."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with running(root / "sandbox", users=[PERSON]) as sandbox:
            (root / "images").mkdir()
            drawn = make_project(sandbox, PERSON, root / "images", "Large")
            project = drawn.project
            finish(sandbox, drawn.task, drawn)
            home, ledger = drawn_home(root / "home", objects, pool, VERSIONS)
            fill(ledger, project, objects, pool)
            list_mistakes(home)
            ledger.close()
            with served(sandbox, home.root, project) as page:
                offer(page.parts, root)
                for number in range(VERSIONS):
                    register(page.parts, root, drawn, 4.0 + number / 10)
                return [*_times(page, project), *_in_browser(page, project)]


def fill(ledger: Ledger, project: int, objects: int, pool: int) -> None:
    """Write rounds, a batch, corrections of so many objects, and the frames of the pool."""
    record(ledger, project, rounds=3)
    frames = (
        FrameFacts(f"1/{n}", 1, n, f"{n:064x}", ".jpg", 640, 480, f"{n:064x}") for n in range(pool)
    )
    ledger.add_frames(frames)
    chosen = [
        SelectedFrame(n + 1, 1, n, 1.0, "strategy", "least sure of class 0") for n in range(50)
    ]
    ledger.set_selection(3, chosen, about={"strategy": "uncertainty"})
    outcomes = ("kept", "nudged", "relabelled", "redrawn", "deleted", "added")
    for number in range(VERSIONS):
        rows = [
            Correction(
                number,
                1000 + number,
                n // 10,
                n,
                outcomes[n % 6],
                "class 0",
                "class 0",
                0.9,
                0.8,
                "m",
            )
            for n in range(objects // VERSIONS)
        ]
        ledger.set_corrections(1000 + number, rows)
    ledger.people.save_efforts(
        JobEffort(
            *(
                n,
                n % VERSIONS,
                1,
                "control" if n % 10 == 0 else "pre-annotated",
                "m",
                f"ann{n % 7}",
            ),
            *(10, 100, 300.0 + n % 50 + 300 * (n % 10 == 0), None, "2026-02-01"),
        )
        for n in range(objects // 100)
    )
    ledger.set_labels([KnownLabel(1, "class 0", "rectangle")])
    keys = tuple(f"1/{n}" for n in range(min(pool, 20_000)))
    about, images = "the whole pool", tuple(f"{n:064x}" for n in range(len(keys)))
    ledger.people.save_group(AssetGroup("Pool", 1, "frames", about, keys, images, "m", "2026"))


def list_mistakes(home: Home) -> None:
    """Keep a list of as many suspects as are kept at most."""
    kinds = ("overlooked", "swapped", "badly placed")
    rows = tuple(
        Suspect(
            *(1, 1, n, kinds[n % 3], "class 0", "", (10.0, 10.0, 60.0, 50.0), n / LISTED, None),
            "the model sees it so",
        )
        for n in range(LISTED)
    )
    keep_list(home, "m", Disputes(rows, LISTED, 0, 0, 0), now="2026-02-01T00:00:00+00:00")


def _screens(project: int) -> Iterator[tuple[str, str]]:
    model = f"m{VERSIONS - 1}"
    yield "projects", ""
    yield "now", f"projects/{project}/now"
    yield "blindspots", f"projects/{project}/blindspots?model={model}&threshold={{threshold}}"
    yield "failures", f"projects/{project}/failures?model={model}&threshold={{threshold}}"
    yield "similar", f"projects/{project}/similar?model={model}&threshold={{threshold}}"
    yield "train", f"projects/{project}/train"
    yield "models", f"projects/{project}/models"
    yield "run", f"projects/{project}/run?model={FUNCTION}&threshold={{threshold}}"
    yield "savings", f"projects/{project}/savings"
    yield "mistakes", f"projects/{project}/mistakes"
    yield "groups", f"projects/{project}/groups"
    yield "group", f"projects/{project}/groups/Pool"


def _times(page: Served, project: int) -> list[Figure]:
    person = requests.Session()
    form = {"way": "password", "username": PERSON.username, "password": PERSON.password}
    origin = page.url[: -len("/learning/")]
    person.post(page.url + "signin", data=form, headers={"Origin": origin}, timeout=60)
    figures = []
    for name, path in _screens(project):
        spent, waited, size = [], [], 0
        for turn in range(REPEATS + 1):
            threshold = f"{0.2 + 0.5 * turn / REPEATS:.3f}"
            began, clock = time.process_time(), time.perf_counter()
            answer = person.get(page.url + path.format(threshold=threshold), timeout=300)
            spent.append(1000 * (time.process_time() - began))
            waited.append(1000 * (time.perf_counter() - clock))
            answer.raise_for_status()
            size = max(size, len(answer.content))
        figures += [
            Figure(
                f"screen_ms_p95/{name}",
                round(float(np.percentile(spent[1:], 95)), 1),
                "ms",
                note=f"processor time of the service, {REPEATS} loads at other confidences; first "
                f"{spent[0]:.0f}; a reader waited {np.median(waited[1:]):.0f} ms (median)",
            ),
            Figure(f"screen_kb/{name}", round(size / 1000, 1), "kB", note="HTML before gzip"),
        ]
    return figures


def _in_browser(page: Served, project: int) -> list[Figure]:
    outside: list[str] = []
    faults: dict[str, list[str]] = {}
    with browser_of() as browser:
        if browser is None:
            note = "no Chromium on this machine"
            return [
                Figure(name, None, "count", note=note)
                for name in ("outside_requests", "axe_serious")
            ]
        tab = browser.new_context().new_page()
        tab.on("request", lambda one: "//127.0.0.1:" in one.url or outside.append(one.url))
        tab.goto(page.url + "signin")
        faults["signin"] = serious_faults(tab)
        tab.get_by_label("User name").fill(PERSON.username)
        tab.get_by_label("Password").fill(PERSON.password)
        tab.get_by_role("button", name="Sign in", exact=True).click()
        tab.wait_for_url(lambda found: "signin" not in found)
        for name, path in _screens(project):
            tab.goto(page.url + path.format(threshold="0.35"))
            faults[name] = serious_faults(tab)
    found = [f"{name}: {fault}" for name, each in faults.items() for fault in each]
    return [
        Figure("outside_requests", len(outside), "requests", note=", ".join(outside[:3])),
        Figure("axe_serious", len(found), "faults", note="; ".join(found[:3])),
    ]


if __name__ == "__main__":
    main()
