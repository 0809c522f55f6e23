"""What the demo leaves: report.json, learning_curve.png and report.html."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from active_learning.measures.cost import CostModel
from cvat_bridge.demo.champion import Champion
from cvat_bridge.demo.curves.bands import curve_of
from cvat_bridge.demo.curves.charts import OUTCOMES, Arms, Runs, corrections, learning_curve
from cvat_bridge.demo.effort import Effort, effort
from cvat_bridge.demo.pictures import Example, colours_of
from cvat_bridge.demo.sentences import against_chance, duration

LOOP = "loop"  # the arm that the demo is about


@dataclass(frozen=True)
class Evidence:
    """What is shown besides figures, of the arm `loop` where it is of one arm.

    champions: by arm, what CVAT showed of its last one. examples: frames of the holdout. chosen:
    frames of the last round, best first, and chosen_of: how many it took. labels: all names.
    """

    champions: Mapping[str, Champion]
    labels: Sequence[str] = ()
    examples: Sequence[Example] = ()
    chosen: Sequence[Example] = ()
    chosen_of: int = 0


def write_report(
    folder: Path,
    arms: Arms,
    evidence: Evidence,
    *,
    about: Mapping[str, Any],
    repeats: Runs | None = None,
) -> Path:
    """Write the files; return the path of the page.

    arms: the run that all but the curve tells of. repeats: all runs of each arm, that one among
    them, whose mean and spread the curve shows; that one alone if unset.

    about: what was run, for the head: data, pool, holdout, rounds, budget, backend, seconds, and
    repeated, the sentences about calls that had to be made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    champions = evidence.champions
    runs = repeats or {name: [rows] for name, rows in arms.items()}
    work = {name: effort(rows) for name, rows in arms.items()}
    content = {
        "champion_listed": _of_loop(champions, "listed"),
        "champion_answers": _of_loop(champions, "answers"),
        "champions": {name: champion.to_json() for name, champion in champions.items()},
        "effort": {name: spent.to_json() for name, spent in work.items()},
        "arms": {name: list(rows) for name, rows in arms.items()},
        "repeats": {name: [list(rows) for rows in of[1:]] for name, of in runs.items()},
        "about": dict(about),
    }
    (folder / "report.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    charts = {"learning_curve": learning_curve(runs), "corrections": corrections(arms)}
    for name, figure in charts.items():
        figure.savefig(folder / f"{name}.png", dpi=130)
    environment = Environment(
        loader=PackageLoader("cvat_bridge.demo", "."), autoescape=select_autoescape()
    )
    environment.filters |= {"inline": inline, "duration": duration}
    path = folder / "report.html"
    path.write_text(
        environment.get_template("report.html").render(
            arms=arms,
            about=about,
            evidence=evidence,
            colours=colours_of(evidence.labels),
            effort=work,
            cost=CostModel(),
            outcomes=OUTCOMES,
            headline=headline(runs, champions, work),
            runs=max(len(of) for of in runs.values()),
            pictures={name: (folder / f"{name}.png").read_bytes() for name in charts},
        ),
        encoding="utf-8",
    )
    return path


def headline(
    runs: Runs, champions: Mapping[str, Champion], work: Mapping[str, Effort]
) -> list[str]:
    """Return the few sentences that somebody reads who reads nothing else."""
    told = []
    ours, theirs = runs.get(LOOP, ()), runs.get("random", ())
    if curve_of(ours):
        told.append(against_chance(curve_of(ours), curve_of(theirs), runs=len(ours)))
    else:
        told.append("No model was good enough to serve.")
    champion = champions.get(LOOP)
    if champion is not None:
        objects = sum(len(found) for found in champion.found.values())
        told.append(
            f"CVAT lists the model that was learnt ({champion.function_id}) and gets answers from "
            f"it: {objects} objects in {len(champion.found)} frames."
            if champion.answers
            else f"The model cannot be used in CVAT: {champion.fault}."
        )
    spent = work.get(LOOP)
    if spent is not None and spent.drawing > 0:
        told.append(_saved(spent))
    return [sentence for sentence in told if sentence]


def _saved(spent: Effort) -> str:
    if spent.saved <= 0:
        return (
            "The proposals saved a person no time in this run (an estimate by the cost model): "
            f"{duration(spent.correcting)} of work with them, {duration(spent.drawing)} without."
        )
    return (
        f"The model's proposals saved a person about {duration(spent.saved)} of "
        f"{duration(spent.drawing)} of drawing, {spent.saved / spent.drawing:.0%}. This is an "
        "estimate by the cost model, not a measured time."
    )


def faults_of(champions: Mapping[str, Champion]) -> list[str]:
    """Return what must end the demo as failed: a champion that people cannot use in CVAT.

    The arm `loop` must have one; another arm may be without.
    """
    return [
        f"{name}: {champion.fault}"
        for name, champion in champions.items()
        if champion.fault and (champion.version is not None or name == LOOP)
    ]


def inline(content: bytes) -> str:
    """Return a picture as an address that a page can hold."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")


def _of_loop(champions: Mapping[str, Champion], figure: str) -> bool | None:
    champion = champions.get(LOOP)
    return None if champion is None else getattr(champion, figure)
