"""`cvat-bridge savings`: what pre-annotation saves people, measured in the project."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cvat_bridge.secrecy import err, out


def savings(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask CVAT nothing; show what was measured last.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Say what pre-annotation saves: seconds with it against without, hours and money.

    A share of the jobs goes out without pre-annotation (savings.control_every). Seconds come from
    CVAT's analytics, else from when jobs were finished, else from the cost model.
    """
    from cvat_bridge.assembly import open_view
    from cvat_bridge.config import load_secrets
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of
    from cvat_bridge.loop.proposals.corrections import collect_corrections
    from cvat_bridge.projects import load_project
    from cvat_bridge.savings.measuring import measure
    from cvat_bridge.savings.query import savings as said
    from cvat_bridge.thresholds.proposed import proposed_thresholds

    loaded = load_project(config)
    home = Home.of(loaded)
    if not offline:
        with open_view(loaded, load_secrets()) as view:
            parts = view.parts
            facts = parts.gather()
            collect_corrections(
                parts.gateway, parts.ledger, facts, home=home, settings=parts.settings
            )
            measure(parts.gateway, parts.ledger, facts, home=home, now=parts.now())
    with ledger_of(loaded) as ledger:
        found = said(loaded, home, ledger)
        proposed = proposed_thresholds(loaded, ledger)
    if as_json:
        rows = {"thresholds": [asdict(row) for row in proposed]}
        out.print_json(json.dumps({**asdict(found), **rows}))
        return
    for line in found.sentences:
        out.print(line, markup=False)
    if found.money is not None:
        out.print(f"{found.money.value:.0f} {found.currency}", markup=False)
    table = Table("class", "proposed", "kept", "moved", "renamed", "redrawn", "deleted", "missed")
    for row in found.outcomes.by_class:
        counts = (row.proposed, row.kept, row.nudged, row.relabelled, row.redrawn, row.deleted)
        table.add_row(row.name, *map(str, (*counts, row.added)))
    if found.outcomes.by_class:
        out.print(table)
    for one in proposed:
        out.print(one.sentence, markup=False)
    for note in found.notes:
        err.print(note, markup=False, highlight=False)
