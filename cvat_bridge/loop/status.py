"""`cvat-bridge status`: which round it is, what it waits for, which model serves, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Round
from cvat_bridge.loop.people.summaries import newest_interactor, ranked_work
from cvat_bridge.loop.proposals.corrections import count_corrections
from cvat_bridge.loop.proposals.pool_estimate import estimate_pool
from cvat_bridge.loop.trust.levels import Level, ModelTrust, was_gated
from cvat_bridge.models.serving import Serving
from cvat_bridge.service.figures import ProjectState
from cvat_bridge.thresholds.round_thresholds import SHOWN_FROM
from cvat_bridge.thresholds.rule import sentences

JsonObject = dict[str, Any]
UNPROVEN = "No holdout has shown yet that this model is good: the next round judges it."


def describe(ledger: Ledger, project_id: int, serving: Serving) -> JsonObject:
    """Read the records alone: works while the service runs and while CVAT is away.

    serving: see `cvat_bridge.models.serving.now_serving`.

    {"project", "round", "state", "waits_for", "serves", "why", "figures", "pre_annotates",
    "trust", "withheld", "jobs", "interactor", "corrected", "of_pool", "rounds": […]}. figures: AP
    and AP50 of what serves, as it was last judged, with the round of that; None where no round
    judged it. pre_annotates: from which score the last round's objects went before people. trust:
    none, informs, serves, or "by hand" for a model that a person promoted and no holdout has shown
    to be good. withheld: classes that the serving model does not pre-annotate → why. jobs: those of
    the newest round that made some, the most valuable first. interactor: what the newest round that
    learnt one says of it, or "". The rounds are oldest first, each with its figures and what people
    did to its pre-annotations. of_pool: what the random frames of the newest round that has
    finished ones say of the whole pool, "" while there are none.
    """
    rounds = sorted(ledger.rounds(project_id), key=lambda row: row.number)
    last = rounds[-1] if rounds else None
    trust = _trust(rounds, serving, proven=was_gated(ledger.decisions(), serving.version))
    return {
        "project": project_id,
        "round": last.number if last else 0,
        "state": last.state if last else "no round yet",
        "waits_for": last.waits_for if last else "",
        "serves": serving.version,
        "why": [*serving.why, *([] if trust.proven else [UNPROVEN])],
        "figures": _judged(ledger, serving.version),
        "pre_annotates": list(_shown(rounds)),
        "trust": trust.level if trust.proven else "by hand",
        "withheld": dict(trust.withheld),
        "jobs": ranked_work(rounds),
        "interactor": newest_interactor(rounds),
        "corrected": asdict(count_corrections(ledger).total),
        "of_pool": _of_pool(ledger, rounds),
        "rounds": [
            {
                "round": row.number,
                "state": row.state,
                "waits_for": row.waits_for,
                "started": row.started,
                "ended": row.ended,
                "figures": dict(row.figures),
                "corrected": asdict(count_corrections(ledger, number=row.number).total),
            }
            for row in rounds
        ],
    }


def _of_pool(ledger: Ledger, rounds: Sequence[Round]) -> str:
    found = (estimate_pool(ledger, row.number) for row in reversed(rounds))
    return next((str(fair) for fair in found if fair is not None), "")


def _judged(ledger: Ledger, version: str | None) -> JsonObject | None:
    """Return what the last round that judged a version found of it."""
    for row in reversed(ledger.decisions()):
        for side, judged in (("challenger", row.challenger), ("champion", row.champion)):
            figures = row.figures.get(side)
            if version is not None and judged == version and figures:
                return {"round": row.round, **figures}
    return None


def project_state(ledger: Ledger, project_id: int) -> ProjectState:
    """Read what the service's figures tell of the records."""
    rounds = sorted(ledger.rounds(project_id), key=lambda row: row.number)
    last = rounds[-1] if rounds else None
    judged = next((row.figures for row in reversed(rounds) if row.figures.get("challenger")), {})
    ap = {
        name: float(judged[name]["ap"])
        for name in ("champion", "challenger")
        if judged.get(name) is not None
    }
    corrected = asdict(count_corrections(ledger).total)
    return ProjectState(
        round=last.number if last else 0,
        done=sum(row.state == "done" for row in rounds),
        under_way=last is not None and last.state != "done",
        ap=ap,
        serving=ap.get("challenger" if judged.get("promoted") else "champion"),
        proposals={name: count for name, count in corrected.items() if name != "proposed"},
    )


def _shown(rounds: Sequence[Round]) -> tuple[str, ...]:
    """Return from which score the newest round that pre-annotated did so."""
    shown = [row.figures[SHOWN_FROM] for row in rounds if row.figures.get(SHOWN_FROM)]
    return sentences(shown[-1]) if shown else ()


def _trust(rounds: Sequence[Round], serving: Serving, *, proven: bool) -> ModelTrust:
    """Return the trust of the last round that decided, where it was about what serves now."""
    for row in reversed(rounds):
        if "trust" in row.figures:
            trust = ModelTrust.of_answer(row.figures)
            serves = trust.model if trust.level == "serves" else None
            if serves == serving.version:
                return trust
            break
    level: Level = "serves" if serving.version else "none"
    return ModelTrust(level, serving.version, proven=proven or not serving.version)
