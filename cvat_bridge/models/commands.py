"""`cvat-bridge models add` and `list`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cvat_bridge.models.workspace import (
    AsJson,
    ConfigPath,
    HomePath,
    Project,
    err,
    few,
    open_workspace,
    out,
    say,
)


def add(
    file: Annotated[Path, typer.Argument(help="Weights (.pt, .onnx), a bundle or a zip of one.")],
    labels: Annotated[
        Path | None, typer.Option(help="Classes: a text with one a line, or a data.yaml.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What CVAT shows; the file's if unset.")] = None,
    sha256: Annotated[str, typer.Option(help="What the file must hash to.")] = "",
    card: Annotated[
        Path | None, typer.Option(help="YAML that describes an ONNX file of another family.")
    ] = None,
    architecture: Annotated[
        str, typer.Option(help="Network of a file that holds weights alone.")
    ] = "",
    sample: Annotated[
        Path | None, typer.Option(help="Image to try it on; a frame of the project if unset.")
    ] = None,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Open a pickle even where it cannot be cut off.")
    ] = False,
    project: Project = None,
    config: ConfigPath = None,
    home: HomePath = None,
    as_json: AsJson = False,
) -> None:
    """Take a file in, try it on a frame, and show it in CVAT's list of models at once."""
    from cvat_bridge.models.adding import add_model
    from trainer.data.class_list import read_classes
    from trainer.importing import ImportRequest

    here = open_workspace(config, home)
    called = name or file.resolve().stem
    request = ImportRequest(
        file,
        called,
        labels=None if labels is None else read_classes(labels),
        sha256=sha256,
        card=card,
        architecture=architecture,
        trusted=trusted,
    )
    with here.cvat(project) as gateway:
        made, answer = add_model(
            here.catalogue,
            request,
            gateway=gateway,
            project=project,
            own=here.own_interactor(project),
            host=here.config.function_host.url,
            sample=sample,
        )
    if as_json:
        out.print_json(json.dumps(answer))
        return
    trial = made.trial
    best = "no object at all" if trial.best is None else f"best score {trial.best:.2f}"
    seen = f"{trial.objects} shown, {best}" if made.entry.kind == "detector" else "clicks answered"
    word = "serves" if made.new else "was there already and serves"
    say(f"{made.entry.name!r} ({made.entry.id}) version {made.version.number} {word}")
    say(f"  {made.bundle.card.task} of {few(made.bundle.card.labels.names)}")
    if answer["people_get"]:
        say(f"  people get {answer['people_get']}")
    if answer["shapes"]:
        say(f"  {answer['shapes']}")
    say(f"  sample frame: {seen}, {trial.seconds:.2f} s")
    for doubt in answer["warnings"]:
        say(f"  warning: {doubt}")
    if made.missing:
        say(f"  the project has no label that takes {few(made.missing)}: not shown")
    say(f"  {answer['host']['message']}")
    if not answer["host"]["listed"]:
        say(f"  start it: cvat-functions --store {here.store}")


def list_(config: ConfigPath = None, home: HomePath = None, as_json: AsJson = False) -> None:
    """List what CVAT offers, and what was brought and is not offered."""
    from cvat_bridge.models.trial import host_states
    from trainer.cli.model_page import metrics_text

    here = open_workspace(config, home)
    states = host_states(here.config.function_host.url)
    rows: list[dict[str, Any]] = []
    known, faults = here.catalogue.known()
    measured = here.catalogue.measured() if known else {}
    for one in known:
        card = one.bundle.card
        offered = "not offered" if one.entry is None else "offered"
        state = offered if states is None else states.get(one.id, "not in the host's list")
        rows.append(
            {
                "id": one.id,
                "name": one.name,
                "task": card.task,
                "engine": card.engine,
                "labels": list(card.labels),
                "number": one.version.number if one.version else None,
                "version": one.bundle.version,
                "figures": {**card.figures, **measured.get(one.bundle.version, {})},
                "licence": card.licence,
                "offered": one.entry is not None,
                "state": state,
            }
        )
    if as_json:
        rows += [{"id": name, "state": f"broken: {why}"} for name, why in faults.items()]
        out.print_json(json.dumps(rows))
        return
    table = Table(
        *("id", "name", "answers", "version", "figures", "licence", "state"),
        box=None,
        padding=(0, 1, 0, 0),
    )
    for row in rows:
        number = "" if row["number"] is None else f"{row['number']} "
        answers = f"{row['task']} of {few(row['labels'])}" if row["labels"] else row["task"]
        table.add_row(
            row["id"],
            row["name"],
            answers,
            f"{number}({row['version'][:8]})",
            metrics_text(row["figures"]) or "not measured",
            row["licence"] or "not stated",
            row["state"],
        )
    out.print(table)
    for name, why in faults.items():
        say(f"{name} is broken: {why}")
    if states is None:
        err.print(f"no function host answers at {here.config.function_host.url}", markup=False)
