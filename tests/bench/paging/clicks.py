"""How many clicks, and seconds, the new screens cost: counted by a script in a real browser.

    python -m tests.bench.paging.clicks

Small pictures and a model that finds their spots stand in for a team's own: clicks do not depend
on them. Seconds are those of the script, which reads nothing, from the first click to the end of
the work; so they are the machine's time, and a person's comes on top.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox import SandboxUser, running
from tests.bench.figures import Figure, write
from tests.cvat_bridge.web.conftest import sign_in
from tests.cvat_bridge.web.serving import Served, browser_of, served
from tests.cvat_bridge.web.spotted import FUNCTION, Spotted, finish, make_project, offer
from tests.trainer.importing.networks import yolo

AREA = "page"
PERSON = SandboxUser("mira", "mira-pass")
_OWN = re.compile(r"clicks/(train|bring|annotate|take_all)$|slider_ms/")
OBJECTS, MOVES = 500, 50
SLIDER = """objects => {
  const svg = document.querySelector('.stage svg');
  for (let n = 0; n < objects; n++) {
    const one = document.createElementNS('http://www.w3.org/2000/svg', 'g');
    one.dataset.score = (n / objects).toFixed(4);
    one.innerHTML = '<polygon class="offered" points="1,1 9,1 9,9 1,9"/>';
    svg.append(one);
  }
  const slider = document.querySelector('[data-least]'), times = [];
  for (let n = 10; n < 60; n++) {
    slider.value = n / 100;
    const began = performance.now();
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    svg.getBoundingClientRect();
    times.push(performance.now() - began);
  }
  return times;
}"""


class Mouse:
    """Counts the clicks of a script; choosing a file counts as one, as it does for a person."""

    def __init__(self, tab: Any) -> None:
        self.tab, self.clicks = tab, 0

    def click(self, target: Any) -> None:
        """Click on something."""
        self.clicks += 1
        target.click()

    def choose(self, target: Any, path: Path) -> None:
        """Choose a file."""
        self.clicks += 1
        target.set_input_files(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, and write the figures into tests/bench/results/page.json."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.paging.clicks", description=__doc__
    )
    parser.add_argument("--data", help="read by other areas")
    parser.parse_args(arguments)
    write(AREA, measure(), stale=lambda name: _OWN.match(name) is not None)


def measure() -> list[Figure]:
    """Do each job once, from the screen *Now* on."""
    with tempfile.TemporaryDirectory() as folder, _page(Path(folder)) as (page, drawn, tab):
        if tab is None:
            names = ("train", "bring", "annotate", "take_all")
            note = "no Chromium on this machine"
            return [Figure(f"clicks/{name}", None, "clicks", note=note) for name in names]
        jobs: dict[str, Callable[[Mouse], None]] = {
            "take_all": lambda mouse: _take_all(mouse, drawn),
            "annotate": _annotate,
            "bring": lambda mouse: _bring(mouse, Path(folder)),
            "train": lambda mouse: _train(mouse, page, drawn),
        }
        found = []
        for name, job in jobs.items():
            tab.goto(f"{page.url}projects/{drawn.project}/now")
            mouse, began = Mouse(tab), time.monotonic()
            job(mouse)
            note = f"{time.monotonic() - began:.0f} s by the script, {_ABOUT[name]}"
            found.append(Figure(f"clicks/{name}", mouse.clicks, "clicks", note=note))
        tab.goto(f"{page.url}projects/{drawn.project}/run?model={FUNCTION}&task={drawn.second}")
        tab.locator(".look-frame form").first.wait_for()
        times = sorted(tab.evaluate(SLIDER, OBJECTS))
        note = f"p95 of {len(times)} moves in Chromium; the first frame holds them all"
        value = round(times[int(0.95 * len(times))], 1)
        found.append(Figure(f"slider_ms/{OBJECTS}", value, "ms", note=note))
        return found


_ABOUT = {
    "take_all": "the frame is in view: its button, and the link to the next frames",
    "annotate": "the tab, the whole task, and the look over what will be done",
    "bring": "the tab, two files and the button, to the model in CVAT's list",
    "train": "the tab and Run, until it waits for its turn or learns",
}


def _take_all(mouse: Mouse, drawn: Spotted) -> None:
    tab = mouse.tab
    tab.goto(re.sub("/now$", f"/run?model={FUNCTION}&task={drawn.task}", tab.url))
    frame = tab.locator(".look-frame").first
    mouse.click(frame.locator("[data-take-all]"))
    frame.get_by_text("written to CVAT").wait_for()
    mouse.click(tab.get_by_role("link", name="Next"))
    tab.locator(".look-frame form").first.wait_for()


def _annotate(mouse: Mouse) -> None:
    tab = mouse.tab
    mouse.click(tab.get_by_role("link", name="Run a model"))
    tab.get_by_role("slider").fill("0.6")
    mouse.clicks += 1  # the slider is moved once
    mouse.click(tab.get_by_role("button", name="Annotate the whole task"))
    mouse.click(tab.get_by_role("button", name="Annotate", exact=True))
    tab.get_by_text("Done.", exact=True).wait_for()


def _bring(mouse: Mouse, folder: Path) -> None:
    tab, names = mouse.tab, folder / "classes.txt"
    names.write_text("red\ngreen\n")
    mouse.click(tab.get_by_role("link", name="Models"))
    mouse.choose(tab.get_by_label("Weights", exact=True), yolo(folder / "brought.onnx"))
    mouse.choose(tab.get_by_label(re.compile("^Class list")), names)
    mouse.click(tab.get_by_role("button", name="Add it"))
    tab.get_by_text("It serves in CVAT now").wait_for()


def _train(mouse: Mouse, page: Served, drawn: Spotted) -> None:
    finish(page.sandbox, drawn.task, drawn)
    tab = mouse.tab
    mouse.click(tab.get_by_role("link", name="Train"))
    mouse.click(tab.get_by_role("button", name="Run", exact=True))
    tab.get_by_text(re.compile("Under way|It waits|It begins|Done")).first.wait_for()
    tab.get_by_role("button", name="Stop and keep").click()  # it is not what is counted


@contextmanager
def _page(folder: Path) -> Iterator[tuple[Served, Spotted, Any]]:
    """Serve a page over a sandbox with two tasks that nobody has opened."""
    (folder / "images").mkdir()
    with running(folder / "sandbox", users=[PERSON]) as sandbox:
        drawn = make_project(sandbox, PERSON, folder / "images")
        with (
            served(sandbox, folder / "home", drawn.project) as page,
            browser_of() as browser,
        ):
            offer(page.parts, folder)
            if browser is None:
                yield page, drawn, None
                return
            tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            tab.set_default_timeout(300_000)
            sign_in(tab, page.url, PERSON)
            yield page, drawn, tab


if __name__ == "__main__":
    main()
