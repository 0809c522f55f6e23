"""The training commands of `trainer`: fit, watch, stop, resume."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trainer.backends.fit_checks import data_faults, output_faults
from trainer.cli.console import JsonLines, evaluation_table, progress_bars
from trainer.detector import FitConfig
from trainer.errors import ConfigError, TrainingError
from trainer.events import follow, step_of
from trainer.runs.fit_settings import fit_config, read_pairs, read_yaml
from trainer.terminal import PlainConsole

_FitRequest = tuple[Path, FitConfig, str]  # data, settings, name

DATA = "Data and output"
MODEL = "Model"
SCHEDULE = "Schedule"
EVALUATION = "Validation, evaluation and tracking"
MACHINE = "Hardware"

Json = Annotated[bool, typer.Option("--json", help="JSON lines for machines, on standard output.")]
Split = Annotated[
    str,
    typer.Option(
        help="Split to evaluate the model on: auto, none, holdout, test or val.",
        rich_help_panel=EVALUATION,
    ),
]
Mlflow = Annotated[
    str | None,
    typer.Option(
        envvar="TRAINER_MLFLOW",
        help="MLflow server or database for live metrics; none for no tracking; if unset, "
        "next to the run.",
        rich_help_panel=EVALUATION,
    ),
]
TimeLimit = Annotated[
    float | None, typer.Option(help="Time limit of training, in seconds.", rich_help_panel=SCHEDULE)
]


def _option(text: str, panel: str) -> Any:
    return typer.Option(help=text, rich_help_panel=panel)


def add_fit_commands(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    for command in (fit, watch, stop, resume):
        app.command()(command)


def fit(
    data: Annotated[Path, _option("Folder in COCO format: annotations.json and images/.", DATA)],
    out: Annotated[Path, _option("Folder of the run; an unfinished run resumes.", DATA)],
    *,
    name: Annotated[str, _option("Display name of the model.", DATA)] = "",
    config: Annotated[
        Path | None, _option("YAML file with the settings below; options override it.", DATA)
    ] = None,
    backend: Annotated[
        str | None,
        _option(
            "centernet (if unset), libreyolo, torchvision_detection, yolo, semantic or "
            "extreme_points.",
            MODEL,
        ),
    ] = None,
    task: Annotated[
        str | None,
        _option("boxes or masks, for a family that supports both; default boxes.", MODEL),
    ] = None,
    base: Annotated[
        Path | None, _option("Bundle or weights to start from; if unset, from scratch.", MODEL)
    ] = None,
    image_size: Annotated[
        str | None,
        _option(
            "Input size HEIGHTxWIDTH; chosen from the data if unset (yolo: 640x640).",
            MODEL,
        ),
    ] = None,
    regions_per_image: Annotated[
        int | None, _option("Regions per image on which two-stage detectors train.", MODEL)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the backend as KEY=VALUE.", rich_help_panel=MODEL),
    ] = None,
    epochs: Annotated[
        int | None,
        _option(
            "Maximum epochs; if unset, until validation stops improving (centernet; others 30).",
            SCHEDULE,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        _option(
            "Images per step; chosen from the data if unset. Split if memory is short.", SCHEDULE
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, _option("Peak learning rate; the backend's default if unset.", SCHEDULE)
    ] = None,
    schedule: Annotated[
        str | None,
        _option(
            "Schedule of the rate: restarts (while validation improves), cosine, step, constant.",
            SCHEDULE,
        ),
    ] = None,
    gamma: Annotated[
        float | None, _option("Factor of each step of the step schedule; default 0.1.", SCHEDULE)
    ] = None,
    milestones: Annotated[
        str | None,
        _option("Epochs after which the step schedule lowers the rate, such as 20,27.", SCHEDULE),
    ] = None,
    early_stopping: Annotated[
        int | None,
        _option(
            "Patience: validations without improvement before the fit ends; 0 for never.", SCHEDULE
        ),
    ] = None,
    time_limit: TimeLimit = None,
    seed: Annotated[int | None, _option("Random seed; default 7.", SCHEDULE)] = None,
    evaluation_period: Annotated[
        int | None,
        _option("Epochs between validations, 0 for none; default about ten per fit.", EVALUATION),
    ] = None,
    split: Split = "auto",
    against_scratch: Annotated[
        bool, _option("Train again without the base, to measure its benefit.", EVALUATION)
    ] = False,
    mlflow: Mlflow = None,
    experiment: Annotated[
        str, _option("Experiment in MLflow, to chart several fits together.", EVALUATION)
    ] = "",
    device: Annotated[
        str | None, _option("cpu (default), cuda:0 or 0, or several: cuda:0,1 (yolo).", MACHINE)
    ] = None,
    precision: Annotated[str | None, _option("fp32 (default), bf16 or fp16.", MACHINE)] = None,
    workers: Annotated[
        int | None, _option("Processes that read images; default 0.", MACHINE)
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
    json_: Json = False,
) -> None:
    """Train on a dataset; write checkpoint, bundle and evaluation to the folder of the run.

    Only --data and --out are required. All errors in the options are reported at once, before the
    fit starts.

    While it runs: `trainer watch OUT`, `trainer stop OUT`.
    """
    given = {
        "backend": backend,
        "task": task,
        "base": base,
        "image_size": image_size,
        "regions_per_image": regions_per_image,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "gamma": gamma,
        "milestones": milestones,
        "early_stopping": early_stopping,
        "time_limit": time_limit,
        "seed": seed,
        "evaluation_period": evaluation_period,
        "device": device,
        "precision": precision,
        "workers": workers,
    }

    def request() -> _FitRequest:
        try:
            values = read_yaml(config) | {k: v for k, v in given.items() if v is not None}
            values["extra"] = {**values.get("extra", {}), **read_pairs(set_ or [])}
            return data, fit_config(values), name
        except ConfigError as error:
            places = [*output_faults(out, split), *data_faults(data)]
            raise ConfigError([*error.faults, *places]) from error

    if json_:
        from trainer.runs.parent import end_with_parent

        end_with_parent(parent)
    _learn(
        request,
        out,
        split,
        mlflow,
        as_lines=json_,
        against_scratch=against_scratch,
        experiment=experiment,
    )


def resume(
    out: Path,
    *,
    time_limit: TimeLimit = None,
    split: Split = "auto",
    mlflow: Mlflow = None,
    json_: Json = False,
) -> None:
    """Resume a fit that was stopped or killed, with its original settings."""
    from trainer.runs.run_folder import read_request, reopen

    def request() -> _FitRequest:
        data, config, name = read_request(out)
        reopen(out)
        return data, replace(config, time_limit=time_limit), name

    _learn(request, out, split, mlflow, as_lines=json_)


def stop(out: Path) -> None:
    """Stop a running fit after the current step; the weights so far become the model."""
    from trainer.runs.run_folder import stop_fit
    from trainer.runs.small_files import is_running

    if not is_running(out) or not stop_fit(out):
        typer.echo(f"{out}: nothing to stop", err=True)
        raise typer.Exit(3)
    typer.echo(f"{out}: stopping after the current step")


def watch(
    out: Path,
    *,
    json_: Annotated[bool, typer.Option("--json", help="Print the raw event stream.")] = False,
) -> None:
    """Follow a run of any process: its events so far, then new ones until it ends."""
    from trainer.runs.small_files import is_running

    if not out.is_dir():
        raise TrainingError("watch", f"{out}: there is no such run folder")
    last: Mapping[str, Any] = {}
    with nullcontext(None) if json_ else progress_bars() as report:
        for event in follow(out, alive=lambda: is_running(out)):
            if event is None:
                continue
            last = event
            if report is None:
                typer.echo(json.dumps(event))
            elif event["event"] in ("progress", "note"):
                report(step_of(event))
    if not json_:
        _print_end(last, out)
    if last.get("event") != "done":
        raise typer.Exit(1)


def _print_end(last: Mapping[str, Any], out: Path) -> None:
    if last.get("event") == "done":
        found = last.get("evaluation") or {}
        typer.echo(f"done: bundle {last['bundle']}, AP {found.get('ap')}")
    elif last.get("event") == "error":
        typer.echo(f"failed: {last['kind']}: {last['message']}", err=True)
    else:
        typer.echo(
            f"{out}: no fit is running there; resume it with `trainer resume {out}`", err=True
        )


def _learn(
    request: Callable[[], _FitRequest],
    out: Path,
    split: str,
    mlflow: str | None,
    *,
    as_lines: bool,
    against_scratch: bool = False,
    experiment: str = "",
) -> None:
    lines = JsonLines() if as_lines else None
    try:
        from trainer.runs.run import run_fit
        from trainer.runs.tracking import tracker_of

        data, config, name = request()
        with nullcontext(lines.progress) if lines else progress_bars() as report:
            outcome = run_fit(
                data,
                config,
                out,
                name=name,
                split=split,
                against_scratch=against_scratch,
                report=report,
                tracker=tracker_of(mlflow, out, config, experiment or name),
            )
    except Exception as error:
        if lines is None:
            raise
        # Top level: whatever ends a fit must reach the process that waits for it.
        traceback.print_exc()
        lines.error(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from error
    if lines:
        lines.write("done", outcome.to_json())
        return
    console = PlainConsole()
    if outcome.evaluation is not None:
        console.print(evaluation_table(outcome.evaluation, outcome.evaluation.split))
    for gain in outcome.gains:
        console.print(str(gain), markup=False, highlight=False)
    console.print(f"bundle {outcome.bundle.path} (version {outcome.bundle.version})")
