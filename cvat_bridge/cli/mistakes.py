"""`cvat-bridge mistakes`: finished labels that the serving model disputes, as issues in CVAT."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cvat_bridge.secrecy import err, out


def mistakes(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    task: Annotated[int | None, typer.Option(help="Look at the jobs of this task alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most labels to name, likeliest first.")] = 50,
    create_issues: Annotated[
        bool, typer.Option("--create-issues", help="Pin a question to each place in CVAT.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Name finished labels that are likely missing, swapped or badly placed.

    The model that serves judges only frames that it did not learn from: the holdout, and what was
    finished since it learnt. Issues that are there already are not made again.
    """
    from cvat_bridge.assembly import open_view
    from cvat_bridge.cli.console import progress_bars, silence
    from cvat_bridge.config import load_secrets
    from cvat_bridge.mistakes.feedback import ranked
    from cvat_bridge.mistakes.listing import keep_list, look_for_mistakes, suspect_key
    from cvat_bridge.mistakes.review import (
        read_verdicts,
        send_to_review,
        still_to_review,
        verdicts,
    )
    from cvat_bridge.projects import load_project

    loaded, secrets = load_project(config), load_secrets()
    with (
        silence() if as_json else progress_bars(err) as report,
        open_view(loaded, secrets, report=report) as view,
    ):
        parts = view.parts
        model, found = look_for_mistakes(parts, task=task, report=report)
        reviews = read_verdicts(parts.gateway, parts.ledger, parts.gather)
        if task is None:
            keep_list(parts.home, model, found, now=parts.now())
        known = {row.key: row.issue for row in reviews}
        open_ = [one for one in found.suspects if known.get(suspect_key(one))]
        order, _ = ranked(still_to_review(found.suspects, reviews), verdicts(reviews))
        named = (*open_, *order)[:limit] if create_issues else order[:limit]
        issues = {}
        if create_issues:
            who = parts.gateway.identity().user.username
            sent = send_to_review(parts.gateway, parts.ledger, named, who=who, now=parts.now())
            by_key = {row.key: row.issue for row in sent}
            issues = {one: by_key[suspect_key(one)] for one in named}
    if as_json:
        rows = [{**asdict(one), "message": one.message, "issue": issues.get(one)} for one in named]
        counts = {k: getattr(found, k) for k in ("judged", "learnt", "unknown", "unread")}
        summary = {"frames": counts, "cautions": list(found.cautions)}
        out.print_json(json.dumps({"suspects": rows, "all": len(found.suspects), **summary}))
        return
    table = Table("job", "frame", "kind", "place", "reason", "issue", box=None)
    for one in named:
        place = " ".join(f"{value:.0f}" for value in one.box)
        number = str(issues.get(one, ""))
        table.add_row(str(one.job_id), str(one.frame), one.kind, place, one.reason, number)
    out.print(table)
    for caution in found.cautions:
        err.print(caution, markup=False, highlight=False)
    err.print(
        f"{len(named)} of {len(found.suspects)} disputed labels; {found.judged} frames judged by "
        f"model {model[:12]}, {found.learnt} left out because it learnt from them, "
        f"{found.unknown} with labels it does not know, {found.unread} unreadable",
        markup=False,
    )
