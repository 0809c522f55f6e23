"""Rounds in the form of report.json, with as little in them as the report needs."""

from __future__ import annotations

from typing import Any

from cvat_bridge.demo.sentences import decision_sentence

SETTINGS = {"min_gain": 0.0, "max_class_drop": 0.1}
Figures = dict[str, float] | None


def learnt(
    champion: float | None,
    challenger: float | None,
    *,
    promoted: bool,
    reason: str = "A reason of the gate.",
    explanation: tuple[str, ...] = (),
    **gate: Any,
) -> dict[str, Any]:
    """Return the figures of a round as `cvat-bridge status` tells them."""
    return {
        "champion": _model(champion),
        "challenger": _model(challenger),
        "promoted": promoted,
        "reasons": [reason],
        "explanation": list(explanation),
        "gate": {"metric": "ap", "frames": 60, "settings": SETTINGS, **gate},
    }


def _model(ap: float | None) -> Figures:
    return None if ap is None else {"ap": ap, "ap50": min(1.0, 1.5 * ap)}


def row(
    number: int,
    champion: float | None,
    challenger: float | None,
    *,
    promoted: bool = True,
    frames: int = 10,
    **did: int,
) -> dict[str, Any]:
    """Return a round with one job of ten frames; did: what a person did to its proposals."""
    figures = learnt(champion, challenger, promoted=promoted)
    proposed = sum(did.values()) - did.get("added", 0)
    return {
        "round": number,
        "labelled_frames": frames * number,
        "champion": figures["champion"],
        "challenger": figures["challenger"],
        "decision": {
            "promoted": promoted,
            "sentence": decision_sentence(figures),
            "reasons": figures["reasons"],
        },
        "serves": "0123456789abcdef",
        "task_id": 7 + number,
        "jobs": [{"id": 3 * number, "frames": list(range(10)), "scores": [0.5] * 10}],
        "pre_annotations": {"proposed": proposed, **did},
        "strategy": "auto",
        "phase": "exploit",
        "advice": "",
    }


ABOUT = {
    "data": "images made for the demo",
    "pool": 300,
    "holdout": 60,
    "rounds": 2,
    "budget": 10,
    "backend": "centernet",
    "seconds": 400.0,
    "repeated": [],
}
