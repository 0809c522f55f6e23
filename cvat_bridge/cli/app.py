"""The command line: every command is a thin call of one function.

Exit codes: 0 done, 1 failed with a named error, 2 wrong use, 3 nothing to do. Results go to
stdout, progress and logs to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from cvat_bridge.cli.annotate import annotate
from cvat_bridge.cli.display.logs import log_to_stderr, warn_on_stderr
from cvat_bridge.cli.display.page import open_
from cvat_bridge.cli.error_exit import exit_with_error, hide_in_threads
from cvat_bridge.cli.insight.blindspots import blindspots
from cvat_bridge.cli.insight.groups import groups
from cvat_bridge.cli.insight.savings import savings
from cvat_bridge.cli.insight.similar import similar
from cvat_bridge.cli.maintenance.database import database
from cvat_bridge.cli.maintenance.restore import restore
from cvat_bridge.cli.maintenance.sweep import sweep
from cvat_bridge.cli.maintenance.workers import worker, workers
from cvat_bridge.cli.mistakes import mistakes
from cvat_bridge.cli.models import models
from cvat_bridge.cli.projects import projects
from cvat_bridge.cli.sandbox_commands import add_up, sandbox
from cvat_bridge.cli.serving import add_serving_commands
from cvat_bridge.cli.train import train
from cvat_bridge.errors import ConfigError, HomeHeldError, NothingToDoError
from cvat_bridge.secrecy import err, out, remember_environment, without_secrets

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
DEFAULT_CONFIG = Path("cvat-bridge.yaml")


def main() -> NoReturn:
    """Run the program; errors become one line and an exit code, here and nowhere else."""
    remember_environment(os.environ)
    hide_in_threads()
    warn_on_stderr()
    try:
        os.umask(0o077)  # what we write is for this user: annotations, secrets, models
        app(standalone_mode=True)
    except Exception as error:  # noqa: BLE001 the edge: nothing passes it untold
        exit_with_error(error, err)
    sys.exit(0)


def _show_version(requested: bool) -> None:
    if requested:
        from trainer.runs.provenance import installed_version

        out.print(f"cvat-bridge {installed_version()}", markup=False, highlight=False)
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
    project: Annotated[
        int | None,
        typer.Option(
            help="Id of the project that the command is about, where the configuration has several."
        ),
    ] = None,
) -> None:
    """The loop that makes CVAT learn from its own annotators."""  # noqa: D401 - shown as help
    if project is not None:
        from cvat_bridge.projects import chosen

        chosen.set(project)


@app.command()
def init(
    url: Annotated[
        str | None,
        typer.Option(help="Address of your CVAT, or of the project's page there."),
    ] = None,
    project: Annotated[int | None, typer.Option(help="Id of the project the loop serves.")] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    public_url: Annotated[
        str | None, typer.Option(help="Address under which CVAT can reach this bridge.")
    ] = None,
    organization: Annotated[str | None, typer.Option(help="Slug of the organization.")] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Seconds a fit may take, for a first look; as long as it needs if unset."
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Write a commented configuration and register the webhook."""
    from cvat_bridge.cli.setup import set_up

    if url is None:
        if not sys.stdin.isatty():
            raise ConfigError(["--url: name the address of your CVAT, or of the project's page"])
        url = typer.prompt("Address of your CVAT, or of the project's page")
    for line in set_up(
        config,
        url=url,
        project=project,
        public_url=public_url,
        organization=organization,
        time_limit=time_limit,
        force=force,
        dry_run=dry_run,
    ):
        out.print(line, markup=False)


@app.command()
def doctor(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Look at everything the loop stands on, and say how to mend what is not good."""
    from cvat_bridge.cli.config_faults import read_checked
    from cvat_bridge.cli.doctor import examine
    from cvat_bridge.config import load_secrets
    from cvat_bridge.cvat.connecting import connected

    loaded = read_checked(config)
    checks = list(examine(loaded, lambda: connected(loaded, load_secrets())))
    if as_json:
        out.print_json(json.dumps([vars(check) for check in checks]))
    else:
        marks = {"good": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}
        for check in checks:
            out.print(f"{marks.get(check.state, '?')} {check.name}: {escape(check.found)}")
            if check.mend:
                out.print(f"    → {escape(check.mend)}")
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(1)


@app.command()
def status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Say which round it is, what it waits for, which model serves, and why."""
    from cvat_bridge.cli.display.status import found_now, print_status
    from cvat_bridge.projects import load_project

    found = found_now(load_project(config))
    if as_json:
        out.print_json(json.dumps(found))
    else:
        print_status(found)


@app.command(name="round")
def round_(
    config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Run one round now, or go on with the one that was interrupted."""
    from cvat_bridge.assembly import assemble, open_view
    from cvat_bridge.config import load_secrets
    from cvat_bridge.ledger.leading import ask_for_round
    from cvat_bridge.loop.people.summaries import interactor_of, work_of
    from cvat_bridge.loop.steps import check_people
    from cvat_bridge.projects import load_project

    log_to_stderr(json_lines=as_json)
    loaded, secrets = load_project(config), load_secrets()
    with _fit_progress(quiet=as_json) as shown:
        if dry_run:
            with open_view(loaded, secrets, report=shown.report) as view:
                check_people(view.parts)
                step = view.next()
            _answer(vars(step), as_json, f"round {step.number}: {step.kind}: {step.reason}")
            return
        try:
            with assemble(loaded, secrets, report=shown.report, learning=shown.learning) as bridge:
                ended = bridge.run_round()
        except HomeHeldError as held:
            if held.by != "service":
                raise
            ask_for_round(loaded)
            asked = (
                "the running service was asked to begin a round; `cvat-bridge status` follows it"
            )
            _answer({"asked": "service"}, as_json, asked)
            return
    figures = ended.answers
    if not figures["select"]["selected"] and not figures["fit"]["bundle"]:
        _answer(dict(figures), as_json, "")
        raise NothingToDoError(f"{figures['fit']['reason']}; {figures['select']['reason']}")
    work = work_of(figures["select"] | figures["prioritise"] | figures["preannotate"])
    learnt = interactor_of(figures["decide"].get("interactor"))
    lines = [*_told(figures["decide"]), learnt, work]
    text = f"round {ended.number}: {' '.join(filter(None, lines))}"
    _answer({"round": ended.number, **figures}, as_json, text)


@app.command()
def run(
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Log in JSON lines.")] = False,
) -> None:
    """Run the service: webhooks, poll, rounds. Stop it with Ctrl-C; it goes on where it was."""
    from cvat_bridge.config import load_secrets
    from cvat_bridge.running import serve

    log_to_stderr(json_lines=as_json)
    serve(config, load_secrets())


@app.command()
def select(
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
    dry_run: DryRun = True,
    sheet: Annotated[
        Path | None, typer.Option(help="Where to write a contact sheet of the chosen frames.")
    ] = None,
) -> None:
    """Show which frames the next round would take, in rank order, with reasons."""
    from cvat_bridge.assembly import open_view
    from cvat_bridge.cli.preview import preview
    from cvat_bridge.config import load_secrets
    from cvat_bridge.projects import load_project

    if not dry_run:
        raise typer.BadParameter("select only looks; `cvat-bridge round` takes the frames")
    log_to_stderr(json_lines=as_json)
    loaded, secrets = load_project(config), load_secrets()
    with _progress(quiet=as_json) as report, open_view(loaded, secrets, report=report) as view:
        found = preview(view.parts, sheet=sheet)
    if as_json:
        out.print_json(json.dumps(found))
        return
    err.print(f"phase: {found['phase']}; strategy: {found['strategy']}", markup=False)
    for line in (*(f"{name}: {why}" for name, why in found["notes"].items()), found["advice"]):
        if line:
            err.print(line, markup=False)
    table = Table("rank", "frame", "worth", "arm", "reason", box=None)
    for row in found["frames"]:
        worth = "-" if row["score"] is None else f"{row['score']:.3g}"
        table.add_row(str(row["rank"]), row["frame"], worth, row["arm"], row["reason"])
    out.print(table)
    if sheet:
        err.print(f"contact sheet: {sheet}", markup=False)


@app.command()
def check(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Check the configuration without touching anything, and print all of it."""
    from cvat_bridge.cli.config_faults import read_checked

    out.print_json(without_secrets(read_checked(config).model_dump_json()))


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors that complete and check YAML."""
    from cvat_bridge.config import config_schema

    out.print_json(json.dumps(config_schema()))


app.command()(sandbox)
add_up(app, run)
app.command(name="open")(open_)
app.command()(train)
app.command()(mistakes)
app.command()(blindspots)
app.command()(similar)
app.command()(savings)
app.add_typer(groups, name="groups")
app.add_typer(models, name="models")
app.add_typer(projects, name="projects")
app.add_typer(database, name="database")
app.command()(annotate)
app.command()(restore)
app.command()(sweep)
app.command()(worker)
app.command()(workers)
add_serving_commands(app)


def _told(decided: dict[str, Any]) -> list[str]:
    """Return what was decided and why; the explanation holds the reasons where nothing serves."""
    lines = list(decided.get("explanation", ()))
    return lines if lines and decided["serves"] is None else [*decided["reasons"], *lines]


def _answer(content: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        out.print_json(json.dumps(content))
    elif text:
        out.print(text, markup=False)


def _fit_progress(*, quiet: bool) -> Any:
    from cvat_bridge.cli.console import fit_bars, fit_log

    return fit_log() if quiet or not err.is_terminal else fit_bars(err)


def _progress(*, quiet: bool) -> Any:
    from cvat_bridge.cli.console import progress_bars, silence

    return silence() if quiet else progress_bars(err)


if __name__ == "__main__":
    main()
