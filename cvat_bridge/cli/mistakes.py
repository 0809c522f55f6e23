"""`cvat-bridge mistakes`: finished labels that the serving model disputes, as issues in CVAT."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cvat_bridge.errors import LedgerError, NothingToDoError
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
    from cvat_bridge.mistakes.disputes import dispute, raise_issues
    from cvat_bridge.projects import load_project
    from trainer.bundles.bundle import read_bundle
    from trainer.data.dataset import load_dataset
    from trainer.engines import load

    loaded, secrets = load_project(config), load_secrets()
    with (
        silence() if as_json else progress_bars(err) as report,
        open_view(loaded, secrets, report=report) as view,
    ):
        parts = view.parts
        champion = parts.registry.champion(parts.key)
        if champion is None:
            raise NothingToDoError("no model serves yet that could dispute a label")
        facts = parts.gather()
        jobs = tuple(job for job in facts.jobs if task in (None, job.task_id))
        if not jobs:
            where = "project" if task is None else f"task {task}"
            raise NothingToDoError(f"the {where} has no finished job")
        snapshot = champion.tags.get("dataset", "")
        if not snapshot or not (parts.home.snapshots / snapshot).is_dir():
            raise LedgerError(
                f"what the serving model {champion.bundle[:12]} learnt from is not known here "
                f"(snapshot {snapshot or 'not recorded'}): no frame is surely new to it. Models "
                "of the loop's own rounds are"
            )
        found = dispute(
            parts.gateway,
            parts.ledger,
            replace(facts, jobs=jobs),
            home=parts.home,
            settings=parts.settings,
            detector=load(read_bundle(champion.path)),
            model=champion.bundle,
            learnt_from=load_dataset(parts.home.snapshots / snapshot),
            report=report,
        )
        named = found.suspects[:limit]
        issues = raise_issues(parts.gateway, named) if create_issues else {}
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
        f"model {champion.bundle[:12]}, {found.learnt} left out because it learnt from them, "
        f"{found.unknown} with labels it does not know, {found.unread} unreadable",
        markup=False,
    )
