"""The Grafana dashboard asks for figures that both processes give, by labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from docs.generate.metrics import registries, rows
from tests.test_deploy import DEPLOY

BOARD = json.loads((DEPLOY / "grafana" / "cvat-bridge.json").read_text(encoding="utf-8"))
NAME = re.compile(r"\b(?:bridge|function)_[a-z_]+\b")
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def known() -> dict[str, set[str]]:
    """Return the names that Prometheus keeps, each with its labels."""
    found: dict[str, set[str]] = {}
    for registry in registries().values():
        for name, kind, labels, _ in rows(registry):
            names = [f"{name}_{part}" for part in ("bucket", "sum", "count")]
            more = {"le"} if kind == "histogram" else set()
            for one in names if kind == "histogram" else [name]:
                found[one] = set(re.findall(r"\w+", labels)) | more
    return found


def queries() -> Iterator[tuple[str, str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


@pytest.mark.parametrize(("title", "query", "legend"), list(queries()))
def test_what_a_panel_asks_for_is_given(title: str, query: str, legend: str) -> None:
    names = NAME.findall(query)
    labels = set()
    for name in names:
        assert name in known(), f"{title}: no figure {name}"
        labels |= known()[name]
    grouped = {one.strip() for by in re.findall(r"by \(([^)]*)\)", query) for one in by.split(",")}
    chosen = set(re.findall(r"[{,](\w+)=", query))
    written = set(re.findall(r"{{(\w+)}}", legend))

    assert names
    assert grouped | chosen | written <= labels
    assert written <= grouped
    assert query.count("(") == query.count(")")


def test_every_figure_is_on_the_dashboard() -> None:
    shown = {name for _, query, _ in queries() for name in NAME.findall(query)}
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}

    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in known()} == bare


def test_panels_do_not_lie_over_each_other() -> None:
    taken: dict[tuple[int, int], Any] = {}
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} and {taken[x, y]}"
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
