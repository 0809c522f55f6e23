"""`cvat-bridge train`: choose in CVAT what to learn from and what to test on, and learn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvat_bridge.secrecy import err, out
from trainer.data.files import parse_json

if TYPE_CHECKING:
    from cvat_bridge.config import Config
    from trainer.detector import Progress
    from trainer.registry.versions import Version


LEARN = "What to learn from (all finished jobs of the project, if none is named)"
TEST = "What to test on (a share, if none is named)"
HOW = "How"


def _asked(text: str, panel: str) -> Any:
    return typer.Option(help=text, rich_help_panel=panel)


def train(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    project: Annotated[
        int | None, _asked("Id of the project; that of the configuration if unset.", LEARN)
    ] = None,
    task: Annotated[list[int] | None, _asked("Id of a task; may be repeated.", LEARN)] = None,
    subset: Annotated[list[str] | None, _asked("Tasks of a subset, as Train.", LEARN)] = None,
    job: Annotated[list[int] | None, _asked("Id of a finished job.", LEARN)] = None,
    test_task: Annotated[list[int] | None, _asked("Id of a task.", TEST)] = None,
    test_subset: Annotated[list[str] | None, _asked("Tasks of a subset.", TEST)] = None,
    test_job: Annotated[list[int] | None, _asked("Id of a finished job.", TEST)] = None,
    holdout_share: Annotated[
        float | None, _asked("Share of the frames held out, near-duplicates together.", TEST)
    ] = None,
    name: Annotated[str | None, _asked("Of the run and its model; the time if unset.", HOW)] = None,
    fit: Annotated[
        list[str] | None,
        _asked("NAME=VALUE of any setting of `trainer fit`, as epochs=20 or schedule=step.", HOW),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the backend's own settings.", rich_help_panel=HOW),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Learn from chosen parts of CVAT; what serves stays as it is until you promote.

    Settings that are not given are those of the configuration's trainer section.

    While it learns: `trainer watch RUN`, `trainer stop RUN` with the folder that is told.
    """
    from cvat_bridge.assembly import round_settings
    from cvat_bridge.cli.console import progress_bars, silence
    from cvat_bridge.config import load_secrets
    from cvat_bridge.cvat.connecting import connected
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.opening import ledger_of
    from cvat_bridge.models.registries import registry_of
    from cvat_bridge.progress import ignore_event
    from cvat_bridge.projects import load_project
    from cvat_bridge.training.asked import trainer_settings
    from cvat_bridge.training.choice import TrainingChoice, TrainingPart
    from cvat_bridge.training.manual import check_training, run_folder
    from cvat_bridge.training.whole import learn, prepare
    from trainer.cli.console import evaluation_table
    from trainer.cli.console import progress_bars as fit_bars
    from trainer.scores import Evaluation

    loaded = load_project(config)
    settings = trainer_settings(loaded.trainer, fit or [], set_ or [])
    called = name or datetime.now(timezone.utc).strftime("train-%Y%m%d-%H%M%S")
    check_training(settings, called)
    choice = TrainingChoice(
        TrainingPart(tuple(task or ()), tuple(job or ()), tuple(subset or ())),
        TrainingPart(tuple(test_task or ()), tuple(test_job or ()), tuple(test_subset or ())),
        holdout_share,
    )
    home = Home.of(loaded)
    run = run_folder(home, called)
    project_id = loaded.project_id if project is None else project
    err.print(f"run {run}", markup=False)
    with (
        silence() if as_json else progress_bars(err) as report,
        connected(loaded, load_secrets()) as gateway,
        ledger_of(loaded) as ledger,
    ):
        data = prepare(
            gateway,
            ledger,
            project_id,
            choice,
            home=home,
            settings=round_settings(loaded),
            now=datetime.now(timezone.utc).isoformat(),
            report=report,
        )
    for line in data.left_out:
        err.print(f"left out: {line}", markup=False)
    with nullcontext() if as_json else fit_bars() as learning:
        learnt = learn(
            data,
            settings,
            name=called,
            project_id=project_id,
            home=home,
            registry=registry_of(loaded, home),
            ledger=partial(ledger_of, loaded) if project_id == loaded.cvat.project else None,
            mlflow=loaded.mlflow_url or home.mlflow_url,
            told=ignore_event if learning is None else partial(_show, learning),
        )
    fitted, version, kept = learnt.fitted, learnt.version, learnt.kept
    answer = {
        "run": str(run),
        "dataset": str(data.dataset),
        "train": data.train,
        "test": data.test,
        "kept_for_tests": kept,
        "bundle": str(fitted.bundle),
        "key": version.key,
        "version": version.number,
        "evaluation": fitted.evaluation,
        "seconds": fitted.seconds,
    }
    if as_json:
        out.print_json(json.dumps(answer))
        return
    if fitted.evaluation is not None:
        judged = Evaluation.from_json(parse_json((run / "evaluation.json").read_text()))
        out.print(evaluation_table(judged, f"on {data.test} frames it did not learn from"))
    out.print(
        f"learnt from {data.train} frames in {fitted.seconds:.0f} s; bundle {fitted.bundle}",
        markup=False,
    )
    if kept:
        out.print(f"{kept} test frames stay test frames: no later round learns from them")
    out.print(
        f"{version.key} version {version.number}; it serves after {_next(version, loaded)}",
        markup=False,
        highlight=False,
    )


def _show(learning: Callable[[Progress], None], event: Mapping[str, Any]) -> None:
    from trainer.events import step_of

    if event.get("event") in ("progress", "note"):
        learning(step_of(event))


def _next(version: Version, config: Config) -> str:
    """Return what makes a version serve."""
    from cvat_bridge.models.serving import project_key

    if version.key != project_key(config.project_id):
        return f"`trainer promote {version.key} {version.number} --home {config.home}` and a round"
    return f"`cvat-bridge promote {version.number}`"
