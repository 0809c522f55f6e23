"""What steps leave is read back as it was, also from a round that an earlier version began."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields
from pathlib import Path

import pytest

from cvat_bridge.ledger.records import Round
from cvat_bridge.ledger.rounds import note_figures, note_state
from cvat_bridge.loop.results import (
    DecideResult,
    FitResult,
    PreannotateResult,
    PullResult,
    Results,
    SelectResult,
)
from cvat_bridge.loop.trust.levels import ModelTrust
from cvat_bridge.loop.workflow import Answers, Step
from tests.cvat_bridge.test_workflow import rounds

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
# As version 0.1 left them: with the seconds of each step, and no level of trust yet.
OLD = {
    "facts": {"pool": 9, "labelled_frames": 4, "new_frames": 4, "seconds": 0.1},
    "pull": {"dataset": None, "train": 0, "holdout": 0, "reason": "no finished job", "seconds": 1},
    "fit": {"bundle": None, "reason": "0 frames to train on, 8 are needed", "seconds": 0.0},
    "decide": {
        "promoted": False,
        "reasons": ["0 frames to train on, 8 are needed"],
        "serves": "abc",
        "champion": {"ap": 0.5, "ap50": 0.75},
        "challenger": None,
        "class_ap": {"cell": 0.5},
        "seconds": 0.2,
    },
    "select": {"selected": 0, "reason": "nothing is free", "seconds": 0.3},
    "prioritise": {"task_id": None, "jobs": [], "seconds": 0.0},
}


def test_a_round_that_an_earlier_version_began_goes_on() -> None:
    done = Results.of(OLD)

    assert done.facts.pool == 9
    assert done.pull == PullResult(reason="no finished job")
    assert done.fit == FitResult(reason="0 frames to train on, 8 are needed")
    assert done.decide.trust == ModelTrust("serves", "abc")
    assert done.decide.class_ap == {"cell": 0.5}
    assert done.decide.reasons == ("0 frames to train on, 8 are needed",)
    assert done.select == SelectResult(reason="nothing is free")
    assert done.prioritise.jobs == ()
    assert done.preannotate == PreannotateResult()


@pytest.mark.parametrize("name", [field.name for field in fields(Results)])
def test_what_is_left_survives_json(name: str) -> None:
    figures = {"champion": None, "challenger": {"ap": 0.5}, "class_ap": {"cell": 0.5}}
    trust = ModelTrust("informs", "abc", {"cell": "too seldom"})
    made = {
        "pull": PullResult("/snapshots/x", "x", 8, 2, 10, ({"what": "a", "reason": "b"},)),
        "fit": FitResult("/bundles/x", "x", began={"origin": "base"}),
        "decide": DecideResult(True, ("it wins",), "abc", trust, figures=figures),
        "select": SelectResult(3, strategy="random"),
        "preannotate": PreannotateResult({"cell": 2}, assigned={"4": "ann"}),
    }
    result = made.get(name, getattr(Results(), name))
    kept = json.loads(json.dumps({**result.to_json(), "seconds": 0.5}))

    assert getattr(Results.of({name: kept}), name) == result


def test_the_record_keeps_the_figures_of_a_challenger_by_name_and_nothing_of_no_snapshot() -> None:
    decided = DecideResult(figures={"champion": None, "challenger": {"ap": 0.5}})

    assert decided.recorded["challenger"] == {"ap": 0.5}
    assert "figures" not in decided.recorded
    assert PullResult(reason="no finished job").recorded == {}


def test_state_and_figures_of_a_round_are_written_beside_each_other(ledger) -> None:
    note_figures(ledger, 1, {"train": 8})  # of a round that nobody began
    assert ledger.rounds() == ()

    note_state(ledger, 1, 7, "pull")
    note_figures(ledger, 1, {"train": 8})
    note_state(ledger, 1, 7, "fit", waits_for="fit: no memory")
    note_figures(ledger, 1, {"began": "base"})

    (row,) = ledger.rounds()
    assert row == Round(
        1, 7, "fit", "fit: no memory", row.started, "", figures={"train": 8, "began": "base"}
    )
    assert row.started


def test_a_database_of_rounds_that_version_0_1_left_goes_on_where_it_was(tmp_path) -> None:
    """Its round 1 failed in step 5; the four before it are not run again."""
    packed = (RECORDINGS / "rounds-0.1.db.gz").read_bytes()
    (tmp_path / "rounds.db").write_bytes(gzip.decompress(packed))
    seen: list[Results] = []

    def again(_: int, answers: Answers) -> dict[str, int]:
        raise AssertionError(f"done already: {answers.keys()}")

    def predict(_: int, answers: Answers) -> dict[str, int]:
        seen.append(Results.of(answers))
        return {"predicted": 9}

    names = ("facts", "pull", "fit", "decide")
    steps = [*(Step(name, again) for name in names), Step("predict", predict)]
    with rounds(tmp_path, steps) as runner:
        unfinished = runner.unfinished()
        ended = runner.run(1)

    (done,) = seen
    assert unfinished == 1
    assert ended.answers["predict"]["predicted"] == 9
    assert done.pull == PullResult("/snapshots/abc", "abc", train=20, holdout=4, fetched=24)
    assert (done.fit.version, done.decide.serves) == ("xyz", "xyz")
    assert done.decide.trust == ModelTrust("serves", "xyz", {"dust": "AP50 is 0.00"})
    assert done.decide.class_ap == {"cell": 0.5, "dust": None}
