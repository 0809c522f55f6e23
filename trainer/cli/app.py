"""The program `trainer`: fit, watch, stop, compare, promote, roll back.

Exit codes: 0 done, 1 failed with a named error, 2 wrong use, 3 nothing to do.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from trainer.cli.compare_commands import add_compare_commands
from trainer.cli.console import print_error
from trainer.cli.fit_commands import add_fit_commands
from trainer.cli.model_commands import add_model_commands
from trainer.cli.snapshot_commands import snapshots
from trainer.errors import ConfigError, TrainerError
from trainer.runs.provenance import installed_version

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"trainer {installed_version()}")
        raise typer.Exit


@app.callback(help=__doc__)
def program(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Fit, watch, compare and promote models."""


add_fit_commands(app)
add_compare_commands(app)
add_model_commands(app)
app.add_typer(snapshots, name="snapshot")


def main() -> None:
    """Run the program; the only place where errors become exit codes."""
    try:
        app()
    except TrainerError as error:
        print_error(error)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
