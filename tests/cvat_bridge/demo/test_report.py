"""The report of a demo, from tiny figures: what it says, and that it stands alone."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from active_learning.measures.cost import CostModel
from cvat_bridge.demo.champion import Champion
from cvat_bridge.demo.curves.bands import points_of
from cvat_bridge.demo.curves.charts import corrections, learning_curve
from cvat_bridge.demo.effort import effort
from cvat_bridge.demo.evidence import chosen_examples, chosen_frames, examples, frames_to_show
from cvat_bridge.demo.ground_truth import TrueObject, read_truth
from cvat_bridge.demo.pictures import WIDTH, colours_of, pane
from cvat_bridge.demo.project import Prepared
from cvat_bridge.demo.report import Evidence, faults_of, write_report
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import SelectedFrame
from tests.cvat_bridge.demo.rows import ABOUT, row

ARMS = {
    "loop": [
        row(1, None, 0.3, added=40),
        row(2, 0.3, 0.6, kept=30, nudged=5, deleted=4, added=5),
    ],
    "random": [row(1, None, 0.2, added=8), row(2, 0.2, 0.19, promoted=False, kept=3, added=5)],
}
FOUND = {4: (TrueObject("disc", (1.0, 2.0, 30.0, 40.0)),)}
GOOD = Champion("loop-champion", "0123456789abcdef", listed=True, answers=True, found=FOUND)
BROKEN = Champion(
    "loop-champion", "0123456789abcdef", listed=False, answers=False, fault="it is not in the list"
)
NONE = Champion("random-champion", None, fault="no model was promoted")


class Words(HTMLParser):
    """The words that a reader sees, and the addresses of what the page shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.shown: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shown += [value or "" for name, value in attrs if name in ("src", "href")]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(folder: Path, champion: Champion, **more: object) -> tuple[dict, Words]:
    evidence = Evidence({"loop": champion, "random": NONE}, **more)
    page = write_report(folder, ARMS, evidence, about=ABOUT)
    return json.loads((folder / "report.json").read_text()), Words(page.read_text())


def test_the_figures_say_whether_the_champion_can_be_used(tmp_path):
    good, page = report(tmp_path / "good", GOOD)
    bad, broken = report(tmp_path / "bad", BROKEN)

    assert (good["champion_listed"], good["champion_answers"]) == (True, True)
    assert good["champions"]["loop"]["objects_found"] == 1
    assert good["champions"]["random"]["listed"] is None
    assert "gets answers from it: 1 objects in 1 frames" in page.text
    assert (bad["champion_listed"], bad["champion_answers"]) == (False, False)
    assert "The model cannot be used in CVAT: it is not in the list." in broken.text


def test_a_champion_that_cannot_be_used_ends_the_demo_as_failed():
    assert faults_of({"loop": GOOD, "random": NONE}) == []
    assert faults_of({"loop": BROKEN, "random": NONE}) == ["loop: it is not in the list"]
    assert faults_of({"loop": NONE, "random": GOOD}) == ["loop: no model was promoted"]


def test_every_decision_has_its_sentence_and_the_gates_own_words(tmp_path):
    written, page = report(tmp_path, GOOD)

    for name, rows in ARMS.items():
        for place, one in enumerate(rows):
            assert one["decision"]["sentence"] in page.text
            assert written["arms"][name][place]["decision"] == one["decision"]
    assert "A reason of the gate." in page.text


def test_the_page_needs_no_other_file(tmp_path):
    shown = [pane("a", cv2.imencode(".png", np.zeros((9, 12, 3), np.uint8))[1].tobytes(), (), {})]
    _, page = report(tmp_path, GOOD)

    assert page.shown
    assert all(address.startswith("data:image/") for address in page.shown)
    assert shown[0].jpeg[:2] == b"\xff\xd8"


def test_the_time_saved_is_told_and_told_to_be_an_estimate(tmp_path):
    written, page = report(tmp_path, GOOD)

    # 20 frames; 80 objects are there; 30 kept, 5 nudged, 4 deleted, 45 drawn.
    assert written["effort"]["loop"] == {
        "drawing_seconds": 20 * 2 + 80 * 10,
        "correcting_seconds": 20 * 2 + 30 * 1.5 + 5 * 6 + 4 * 1.5 + 45 * 10,
        "saved_seconds": 80 * 10 - 30 * 1.5 - 5 * 6 - 4 * 1.5 - 45 * 10,
    }
    assert "estimate by the cost model, not a measured time" in page.text


def test_a_redrawn_object_costs_what_deleting_and_drawing_do():
    spent = effort([row(1, 0.1, 0.2, redrawn=2, relabelled=1)], CostModel())

    assert spent.correcting == 10 * 2 + 2 * (1.5 + 10) + 6
    assert spent.saved == pytest.approx(3 * 10 - 2 * 11.5 - 6)


def test_the_panels_of_a_chart_have_one_scale():
    runs = {name: [rows] for name, rows in ARMS.items()}
    for chart in (learning_curve(runs), corrections(ARMS)):
        first, second = (axis.get_ylim() for axis in chart.axes)
        assert first == second
    assert corrections(ARMS).axes[1].get_ylim()[1] >= 44  # the tallest bar is the other panel's


def test_several_runs_are_their_mean_with_a_band_from_the_lowest_to_the_highest(tmp_path):
    second = {
        "loop": [row(1, None, None, promoted=False), row(2, None, 0.8)],
        "random": [row(1, None, 0.4), row(2, 0.4, 0.1)],
    }
    runs = {name: [ARMS[name], second[name]] for name in ARMS}
    loop = points_of(runs["loop"])
    (axis, _), evidence = learning_curve(runs).axes, Evidence({"loop": GOOD, "random": NONE})
    page = write_report(tmp_path, ARMS, evidence, about=ABOUT, repeats=runs)
    written = json.loads((tmp_path / "report.json").read_text())

    assert [(p.frames, p.mean, p.low, p.high) for p in loop] == [
        (10, 0.3, 0.3, 0.3),
        (20, pytest.approx(0.7), 0.6, 0.8),
    ]
    assert len(axis.collections) == 2  # a band an arm
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "loop, mean of 2 runs",
        "random, mean of 2 runs",
    ]
    assert "In the mean of 2 runs the loop ends at AP 0.70" in Words(page.read_text()).text
    assert written["arms"] == ARMS
    assert written["repeats"] == {name: [rows] for name, rows in second.items()}


def test_boxes_are_drawn_in_their_colour_where_the_object_is():
    frame = cv2.imencode(".png", np.full((60, 100, 3), 128, np.uint8))[1].tobytes()
    colours = colours_of(["disc", "bar"])

    drawn = pane("", frame, [TrueObject("bar", (20.0, 10.0, 80.0, 50.0))], colours)

    pixels = cv2.imdecode(np.frombuffer(drawn.jpeg, np.uint8), cv2.IMREAD_COLOR)
    scale = WIDTH / 100
    assert pixels.shape[1] == WIDTH
    blue, _, red = (int(value) for value in pixels[round(30 * scale), round(20 * scale)])
    assert blue > red + 60  # bar is the second label, whose colour is blue
    assert abs(pixels[round(30 * scale), round(50 * scale)].astype(int) - 128).max() < 12


def test_examples_show_people_and_model_and_the_choice_shows_its_reasons(tmp_path):
    truth = read_truth(write_scenes(tmp_path / "scenes", pool=3, holdout=3))
    prepared = Prepared(1, 5, {}, (*truth.pool, *truth.holdout))
    numbers = frames_to_show(prepared, truth, most=2)
    reason = "unsure between disc & ring"
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.set_selection(
            2,
            [SelectedFrame(n + 1, 5, n, 0.5, "strategy", f"{reason} {n}") for n in range(3)],
            about={"strategy": "auto", "phase": "", "advice": "", "notes": {}, "duplicates": 0},
        )

    chosen = chosen_frames(tmp_path / "ledger.db", 2)
    asked = Champion("loop-champion", "v", listed=True, answers=True, found={numbers[0]: ()})
    _, page = report(
        tmp_path / "out",
        asked,
        labels=truth.labels,
        examples=examples(asked, prepared, truth, numbers),
        chosen=chosen_examples(chosen, prepared, truth.labels, most=2),
        chosen_of=len(chosen),
    )

    assert numbers == (3, 5)
    assert "drawn by people" in page.text and "found by the model" in page.text
    assert "the model was not asked" in page.text  # never shown as "nothing found"
    assert f"1. {reason} 0" in page.text and f"2. {reason} 1" in page.text
    assert "The first 2 of the 3 frames" in page.text
    pictures = [a for a in page.shown if a.startswith("data:image/jpeg;base64,")]
    assert len(pictures) == 2 + 1 + 2
    assert all(re.fullmatch(r"[\w+/=]+", a.split(",")[1]) for a in pictures)
    assert cv2.imdecode(
        np.frombuffer(base64.b64decode(pictures[0].split(",")[1]), np.uint8), 1
    ).any()
