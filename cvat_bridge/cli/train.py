"""`cvat-bridge train`: choose in CVAT what to learn from and what to test on, and learn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import err, out
from trainer.data.files import parse_json
from trainer.errors import ConfigError as FitConfigError

if TYPE_CHECKING:
    from cvat_bridge.config import Config, TrainerSection
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
    from cvat_bridge.models.serving import project_key
    from cvat_bridge.projects import load_project
    from cvat_bridge.training.choice import TrainingChoice, TrainingPart
    from cvat_bridge.training.fitting import run_fit
    from cvat_bridge.training.manual import (
        check_training,
        keep_test_part,
        register,
        run_folder,
        snapshot,
    )
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
        pulled = snapshot(
            gateway,
            ledger,
            project_id,
            choice,
            home=home,
            settings=round_settings(loaded),
            now=datetime.now(timezone.utc).isoformat(),
            report=report,
        )
        labels = {label.name: label.id for label in gateway.labels(project_id=project_id)}
    for row in pulled.skipped:
        err.print(f"left out: {row.what}: {row.reason}", markup=False)
    with nullcontext() if as_json else fit_bars() as learning:
        fitted = run_fit(
            pulled.dataset.path,
            settings,
            run_dir=run,
            name=called,
            base=settings.base,
            on_event=None if learning is None else partial(_show, learning),
            split="auto",
            mlflow=loaded.mlflow_url or home.mlflow_url,
            experiment=project_key(project_id),
        )
    kept = 0
    if choice.test and project_id == loaded.cvat.project:
        with ledger_of(loaded) as ledger:
            kept = keep_test_part(ledger, pulled)
    version = register(
        registry_of(loaded, home),
        project_id,
        fitted.bundle,
        run=called,
        dataset=pulled.dataset.fingerprint,
        labels=labels,
    )
    answer = {
        "run": str(run),
        "dataset": str(pulled.dataset.path),
        "train": pulled.train,
        "test": pulled.holdout,
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
        out.print(evaluation_table(judged, f"on {pulled.holdout} frames it did not learn from"))
    out.print(
        f"learnt from {pulled.train} frames in {fitted.seconds:.0f} s; bundle {fitted.bundle}",
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


def trainer_settings(
    known: TrainerSection, fit: Sequence[str], extra: Sequence[str]
) -> TrainerSection:
    """Return the trainer section with what was given on the command line; all faults at once."""
    from pydantic import ValidationError

    from cvat_bridge.config import TrainerSection
    from trainer.runs.fit_settings import read_pairs

    try:
        values, own = read_pairs(fit), read_pairs(extra)
    except FitConfigError as error:
        raise ConfigError(error.faults) from error
    for key, of in (("image_size", "x"), ("milestones", ",")):
        if isinstance(values.get(key), str):
            values[key] = values[key].lower().split(of)
        elif isinstance(values.get(key), int):
            values[key] = [values[key]]
    backend = values.get("backend", known.backend)
    # Another family does not know the settings of the configured one.
    kept = known.extra if backend == known.backend else {}
    merged = {**known.shown, **values, "extra": {**kept, **own}}
    try:
        return TrainerSection.of(merged)
    except ValidationError as error:
        raise ConfigError(
            [f"--fit {'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()]
        ) from error
