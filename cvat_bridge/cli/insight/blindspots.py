"""`cvat-bridge blindspots`: where a model fails, from what the rounds recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.secrecy import err, out

if TYPE_CHECKING:
    from cvat_bridge.blindspots.types import BlindSpots, Failures, Share
    from cvat_bridge.config import Config
    from cvat_bridge.evaluations.evaluated_frames import Source
    from cvat_bridge.home import Home
    from cvat_bridge.ledger import Ledger

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
]
ModelVersion = Annotated[
    str | None, typer.Option(help="Version of the model, or its first letters; else what serves.")
]
SourceName = Annotated[
    str | None,
    typer.Option(
        help="Which judged frames: holdout, control (drawn at random) or corrected; else the "
        "first of these that there are."
    ),
]
Threshold = Annotated[
    float | None, typer.Option(min=0.0, max=1.0, help="Count answers from this score on.")
]


def blindspots(
    config: ConfigPath = Path("cvat-bridge.yaml"),
    model: ModelVersion = None,
    source: SourceName = None,
    threshold: Threshold = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="With which all slices named are surely bad.")
    ] = 0.95,
    where: Annotated[
        str | None,
        typer.Option("--slice", help="List the failures of this slice (its key) instead."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most slices, or failures, to name.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Say where a model fails: which kinds of objects and frames, surely worse than the rest.

    Asks neither CVAT nor a model: every round records what it judges.
    """
    from cvat_bridge.blindspots.queries import blind_spots
    from cvat_bridge.blindspots.types import to_json
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of
    from cvat_bridge.projects import load_project

    loaded = load_project(config)
    home = Home.of(loaded)
    with ledger_of(loaded) as ledger:
        version, kind = asked_for(loaded, home, ledger, model, source)
        if where is not None:
            found = failures_of(home, ledger, version, kind, where, threshold, limit)
            out.print_json(json.dumps(to_json(found))) if as_json else _show_failures(found)
            return
        page = blind_spots(
            home,
            ledger,
            model=version,
            source=kind,
            threshold=threshold,
            confidence=confidence,
            most=limit,
        )
    if as_json:
        out.print_json(json.dumps(to_json(page)))
    else:
        _show(page)


def asked_for(
    config: Config, home: Home, ledger: Ledger, model: str | None, source: str | None
) -> tuple[str, Source]:
    """Find the version and source that a person means.

    Raises ConfigError for a source that is none, NothingToDoError when nothing is recorded.
    """
    from cvat_bridge.blindspots.queries import recorded_models
    from cvat_bridge.evaluations.evaluated_frames import SOURCES
    from cvat_bridge.models.registries import registry_of
    from cvat_bridge.models.serving import project_key

    kind = next((one for one in SOURCES if one == source), None)
    if source is not None and kind is None:
        raise ConfigError([f"--source: one of {', '.join(SOURCES)}, found {source!r}"])
    rows = recorded_models(ledger)
    if not rows:
        raise NothingToDoError(
            "no model was judged yet: a round records what it judges. Finish jobs, then run "
            "`cvat-bridge round`"
        )
    if model is None:
        registry = registry_of(config, home)
        champion = registry.champion(project_key(config.project_id))
        model = champion.bundle if champion is not None else rows[0].model
    versions = sorted({row.model for row in rows if row.model.startswith(model)})
    if len(versions) != 1:
        known = ", ".join(sorted({row.model[:12] for row in rows}))
        what = f"several models begin with {model!r}" if versions else f"of {model[:12]!r} nothing"
        raise NothingToDoError(f"{what} is recorded; there are {known}")
    have = [one for one in SOURCES if any((r.model, r.source) == (versions[0], one) for r in rows)]
    return versions[0], kind or have[0]


def failures_of(
    home: Home,
    ledger: Ledger,
    model: str,
    source: Source,
    where: str,
    threshold: float | None,
    count: int,
) -> Failures:
    """Return the failures of a slice; ConfigError for a key that is none."""
    from cvat_bridge.blindspots.queries import failures

    try:
        return failures(
            home, ledger, model=model, source=source, where=where, threshold=threshold, count=count
        )
    except ValueError as error:
        raise ConfigError([f"--slice: {error}"]) from error


def _show(page: BlindSpots) -> None:
    named = {
        "holdout": "the holdout",
        "control": "frames drawn at random",
        "corrected": "pre-annotated frames that people finished",
    }[page.source]
    err.print(
        f"model {page.model[:12]} on {named}: {page.frames} frames, {page.objects} objects; answers"
        f" from score {page.threshold:.2f}. It finds {_share(page.recall)} of the objects, and "
        f"{_share(page.precision)} of its answers are right.",
        markup=False,
        highlight=False,
    )
    if page.slices:
        table = Table("where", "objects", "finds", "else", "right", "else", "mostly", box=None)
        for one in page.slices:
            table.add_row(
                escape(f"{one.words}\n  --slice '{one.key}'"),
                str(one.objects),
                _marked(one.recall, one.recall_verdict),
                _share(one.rest_recall),
                _marked(one.precision, one.precision_verdict),
                _share(one.rest_precision),
                f"{one.main_kind or '-'}",
            )
        out.print(table)
    else:
        out.print("No part of the objects is surely worse than the rest.", markup=False)
    for line in (page.method, *page.notes):
        err.print(line, markup=False, highlight=False)
    if page.too_few:
        few = "; ".join(f"{one.words} ({one.objects})" for one in page.too_few[:5])
        err.print(f"Too few objects to say: {few}", markup=False, highlight=False)


def _show_failures(found: Failures) -> None:
    table = Table("task", "frame", "what", "seconds to mend", box=None)
    for row in found.rows:
        table.add_row(str(row.task_id), str(row.frame), escape(row.words), f"{row.cost:.0f}")
    out.print(table)
    err.print(f"{len(found.rows)} of {found.total} failures: {found.words}", markup=False)


def _share(one: Share) -> str:
    return "-" if one.value is None else f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%})"


def _marked(one: Share, verdict: str) -> str:
    if verdict == "too few to say":
        return verdict
    return f"[bold]{_share(one)}[/]" if verdict == "worse" else _share(one)
