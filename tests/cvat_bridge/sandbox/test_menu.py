"""CVAT's own "Automatic annotation" menu, through the function host as a process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from serverless.store.confidence import ConfidenceForm
from serverless.store.functions import Entry, FunctionLabel, publish
from tests.cvat_bridge.sandbox.test_annotate import CONFIDENCE, World, encoded
from tests.patience import patience
from tests.serverless.bright_spots import bright_spots

PERCENT = ConfidenceForm("number", ("0", "100", "1"))


@dataclass
class Menu(World):
    """A server whose function host can be ended and begun again."""

    store: Path
    port: int

    def entry(self, function_id: str, form: ConfidenceForm) -> None:
        labels = (FunctionLabel("red", "red", "rectangle", form),)
        publish(self.store, Entry(function_id, "detector", "Spots", "finds spots",
                                  self.bundle.path, self.bundle.version, labels))  # fmt: skip

    def ask(self, task_id: int, function_id: str) -> str:
        body = {"function": function_id, "task": task_id}
        return str(self.api("POST", "/api/lambda/requests", json=body)["id"])

    def state(self, request_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/api/lambda/requests/{request_id}")
        return found

    def ended(self, request_id: str) -> dict[str, Any]:
        until = time.monotonic() + patience(60)
        while (state := self.state(request_id))["status"] not in {"finished", "failed"}:
            assert time.monotonic() < until, state
            time.sleep(0.05)
        return state


@pytest.fixture(scope="module")
def menu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Menu]:
    folder = tmp_path_factory.mktemp("menu")
    store = folder / "functions"
    with hosting(store, builtin=False) as url:
        port = int(url.rsplit(":", 1)[1])
    with running(folder / "cvat", function_host=url) as sandbox:
        config = folder / "cvat-bridge.yaml"
        config.write_text(yaml.safe_dump({"home": "home", "cvat": {"url": sandbox.url}}))
        yield Menu(sandbox, bright_spots(folder / "spots", gain=8.0), config, store, port)


def task(menu: Menu, count: int, **attribute: Any) -> int:
    label = {"name": "red", "type": "rectangle", "attributes": [{**CONFIDENCE, **attribute}]}
    return menu.task([encoded((1, 1, 0))] * count, labels=[label])


@pytest.mark.parametrize(
    ("values", "stored"),
    [(["0", "100", "1"], "98"), (["0", "1", "0.01"], "0")],
    ids=["percent", "share"],
)
def test_the_labels_attribute_confidence_is_filled(
    menu: Menu, values: list[str], stored: str
) -> None:
    """What CVAT takes of a function is filled; a share it would choke on keeps its default."""
    number = task(menu, 1, values=values)
    menu.entry("spots", ConfidenceForm("number", tuple(values)))

    with hosting(menu.store, builtin=False, port=menu.port):
        state = menu.ended(menu.ask(number, "spots"))

    assert state["status"] == "finished", state["exc_info"]
    (shape,) = menu.shapes(number)
    assert [one["value"] for one in shape["attributes"]] == [stored]


def test_a_host_that_dies_midway_fails_the_request_and_annotate_brings_the_rest(
    menu: Menu, tmp_path: Path
) -> None:
    """CVAT keeps what it had stored and says why it failed; nothing comes twice."""
    count = 250
    number = task(menu, count)
    menu.entry("spots", PERCENT)
    with hosting(menu.store, builtin=False, port=menu.port, log=tmp_path / "host.log"):
        request = menu.ask(number, "spots")
        until = time.monotonic() + patience(60)
        while (menu.state(request)["progress"] or 0) < 50:
            assert time.monotonic() < until, menu.state(request)
            time.sleep(0.02)
    state = menu.ended(request)
    kept = menu.shapes(number)

    code, ended, said = menu.run("--task", str(number), "--map", "green=")
    after = menu.shapes(number)
    with hosting(menu.store, builtin=False, port=menu.port):
        answer = menu.api("POST", "/api/lambda/functions/spots", json={"task": number, "frame": 0})

    assert state["status"] == "failed"
    assert "503" in state["exc_info"] or "Connection" in state["exc_info"]
    assert 0 < len(kept) < count
    assert (code, ended["objects"]) == (0, count - len(kept)), said
    assert sorted(shape["frame"] for shape in after) == list(range(count))
    assert len(answer["shapes"]) == 1


def test_one_cut_off_frame_fails_neither_the_menu_nor_annotate(menu: Menu) -> None:
    """CVAT shows what there is of it, and so the model is shown it too."""
    from tests.cvat_bridge.sandbox.test_annotate import truncated

    label = {"name": "red", "type": "rectangle", "attributes": [CONFIDENCE]}
    good = encoded((1, 1, 0), kind="JPEG")
    number = menu.task([good, truncated(), good], labels=[label], suffix="jpg")
    menu.entry("spots", PERCENT)

    with hosting(menu.store, builtin=False, port=menu.port):
        state = menu.ended(menu.ask(number, "spots"))
    code, ended, _ = menu.run("--task", str(number), "--map", "green=")

    assert state["status"] == "finished"
    assert (code, ended["left_out"]) == (0, [])
    assert {0, 2} <= {shape["frame"] for shape in menu.shapes(number)}
