"""The program `trainer`: fit, watch, stop, compare, promote, roll back.

Exit codes: 0 done, 1 failed with a named error, 2 wrong use, 3 nothing to do.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.compare_commands import Data, add_compare_commands
from trainer.console import Lines, bars, evaluation_table, explain
from trainer.detector import FitConfig
from trainer.errors import ConfigError, TrainerError
from trainer.fit_settings import fit_config, read_pairs, read_yaml
from trainer.model_commands import Json, add_model_commands

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, add_completion=False
)

_Request = tuple[Path, FitConfig, str]  # data, settings, name


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run; gone on with if begun before.")],
    *,
    name: Annotated[str, typer.Option(help="What people will call the model.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="YAML of the settings below; options win.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Model family; centernet if unset.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="Bundle or weights to start from; from scratch if unset.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times over the images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its highest.")] = None,
    image_size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH the network sees.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same draws.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of learning at most.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, …")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read images.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the backend's own settings.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Part to evaluate on: auto, none, holdout, test or val.")
    ] = "auto",
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
    json_: Json = False,
) -> None:
    """Learn from a dataset: checkpoint, bundle and evaluation in the folder of the run."""
    given = {
        "backend": backend,
        "base": base,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_size": image_size,
        "seed": seed,
        "time_limit": time_limit,
        "device": device,
        "workers": workers,
    }

    def request() -> _Request:
        values = read_yaml(config) | {k: v for k, v in given.items() if v is not None}
        values["extra"] = {**values.get("extra", {}), **read_pairs(set_ or [])}
        return data, fit_config(values), name

    if json_:
        from trainer.parent import end_with_parent

        end_with_parent(parent)
    _learn(request, out, split, as_lines=json_)


@app.command()
def resume(
    out: Path,
    *,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of learning at most.")] = None,
    split: str = "auto",
    json_: Json = False,
) -> None:
    """Go on with a fit that was stopped or killed, with the settings it was begun with."""
    from trainer.run_folder import read_request, reopen

    def request() -> _Request:
        data, config, name = read_request(out)
        reopen(out)
        return data, replace(config, time_limit=time_limit), name

    _learn(request, out, split, as_lines=json_)


@app.command()
def stop(out: Path) -> None:
    """End a running fit after the step at work; what it learnt becomes the model."""
    from trainer.run_folder import stop_fit

    if not stop_fit(out):
        typer.echo(f"{out}: nothing to stop", err=True)
        raise typer.Exit(3)
    typer.echo(f"{out}: told to stop")


add_compare_commands(app)
add_model_commands(app)


def main() -> None:
    """Run the program; the one place where errors become exit codes."""
    try:
        app()
    except TrainerError as error:
        explain(error)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


def _learn(request: Callable[[], _Request], out: Path, split: str, *, as_lines: bool) -> None:
    lines = Lines() if as_lines else None
    try:
        from trainer.run import run_fit

        data, config, name = request()
        with nullcontext(lines.progress) if lines else bars() as report:
            outcome = run_fit(data, config, out, name=name, split=split, report=report)
    except Exception as error:
        if lines is None:
            raise
        # The edge: whatever ends a fit must reach the process that waits for it.
        traceback.print_exc()
        lines.error(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from error
    if lines:
        lines.write("done", outcome.to_json())
        return
    console = Console()
    if outcome.evaluation is not None:
        console.print(evaluation_table(outcome.evaluation, outcome.evaluation.split))
    console.print(f"bundle {outcome.bundle.path} (version {outcome.bundle.version})")
