"""Records of a project with three rounds, as rounds write them."""

from __future__ import annotations

from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import (
    Correction,
    Decision,
    RankedJob,
    Round,
    SelectedFrame,
)

FIRST, SECOND = "a" * 16, "b" * 16
USEFULNESS = {
    "model": FIRST,
    "frames": 72,
    "whole": {"ap50": 0.857, "low": 0.835, "objects": 945},
    "classes": {"cell": {"ap50": 0.857, "low": 0.835, "objects": 945}},
}


def decide(ledger: Ledger, number: int, *, promoted: bool, low: float) -> Decision:
    """Record the decision about the challenger of round 2 or 3."""
    figures = {
        "champion": None if number == 2 else {"ap": 0.407, "ap50": 0.857},
        "challenger": {"ap": 0.407 if number == 2 else 0.467, "ap50": 0.867},
        "usefulness": USEFULNESS,
        "gate": {
            "metric": "ap",
            "frames": 72,
            "objects": {"cell": 945},
            "settings": {
                "useful_ap50": 0.2,
                "useful_low": 0.1,
                "useful_confidence": 0.9,
                "confidence": 0.95,
                "min_gain": 0.0,
                "min_first": None,
            },
        },
    }
    if number > 2:
        figures["gate"] |= {"gain": 0.06, "gain_low": low, "gain_high": 0.08, "classes": {}}
    row = Decision(
        number,
        "" if number == 2 else FIRST,
        FIRST if number == 2 else SECOND,
        promoted,
        (f"Sentence of round {number}.",),
        figures,
        f"2026-02-0{number}T10:00:00+00:00",
    )
    ledger.save_decision(row)
    return row


def record(ledger: Ledger, project: int, rounds: int = 3) -> None:
    """Record rounds 1 to `rounds`: a cold start, a first model, a better one."""
    for number in range(1, rounds + 1):
        figures = {
            "pool": 292 - 40 * number,
            "labelled_frames": 72 + 40 * number,
            "train": 40 * (number - 1),
            "challenger": None,
            "selected": 3,
            "strategy": "typiclust",
            "phase": "cold start",
            "task_id": 1 + number,
            "model": "embeddings",
            "proposed": {},
            "trust": {"level": "none", "model": None, "withheld": {}},
            "explanation": ["No model serves yet: 0 frames to train on, 8 are needed."],
        }
        if number > 1:
            row = decide(ledger, number, promoted=True, low=0.04)
            figures |= {"challenger": row.figures["challenger"], "explanation": []}
        ledger.save_round(
            Round(
                number,
                project,
                "done",
                "",
                "2026-02-01T00:00:00Z",
                "2026-02-01T01:00:00Z",
                "",
                (),
                figures,
            )
        )
        frames = [
            SelectedFrame(1, 1, 5, 1.0, "strategy", "least sure of cell"),
            SelectedFrame(2, 1, 7, 0.5, "strategy", "unlike what is labelled"),
            SelectedFrame(3, 1, 9, None, "control", "drawn at random", 14.0),
        ]
        ledger.set_selection(number, frames, about={"strategy": "typiclust"})
        ledger.set_ranked_jobs(
            number, [RankedJob(1, 17, 1, (5, 7, 9), (1.0, 0.5, None), "ranks 1-3")]
        )
    outcomes = ["kept"] * 6 + ["nudged"] * 3 + ["deleted"] + ["added"] * 2
    ledger.set_corrections(
        17,
        [
            Correction(
                2,
                17,
                5,
                place,
                outcome,
                "" if outcome == "added" else "cell",
                "cell",
                0.9,
                0.8,
                FIRST,
            )
            for place, outcome in enumerate(outcomes)
        ],
    )
