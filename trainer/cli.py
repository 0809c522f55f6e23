"""The program `trainer`: fit, watch, stop, compare, promote, roll back.

Exit codes: 0 done, 1 failed with a named error, 2 wrong use, 3 nothing to do.
"""

from __future__ import annotations

import sys

import typer

from trainer.compare_commands import add_compare_commands
from trainer.console import explain
from trainer.errors import ConfigError, TrainerError
from trainer.fit_commands import add_fit_commands
from trainer.model_commands import add_model_commands
from trainer.snapshot_commands import snapshots

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, add_completion=False
)

add_fit_commands(app)
add_compare_commands(app)
add_model_commands(app)
app.add_typer(snapshots, name="snapshot")


def main() -> None:
    """Run the program; the one place where errors become exit codes."""
    try:
        app()
    except TrainerError as error:
        explain(error)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
