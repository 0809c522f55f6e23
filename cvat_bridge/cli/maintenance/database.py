"""`cvat-bridge database`: back the records up, put them back, move them to another database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvat_bridge.secrecy import out, remember_address

if TYPE_CHECKING:
    from cvat_bridge.config import Config

database = typer.Typer(
    no_args_is_help=True,
    help="The records of the bridge: back them up, put them back, move them to PostgreSQL.",
)
ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
_DEFAULT = Path("cvat-bridge.yaml")


@database.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    config: ConfigPath = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write all records to one file; the bridge may work meanwhile."""
    from cvat_bridge.recovery.copies.archive import backup as write

    made = write(_configs(config), file)
    lines = [f"project {number}: {rows} rows" for number, rows in made.ledgers.items()]
    lines.append(f"the records of rounds: {made.rounds} rows")
    _answer(
        {"file": str(file), "ledgers": made.ledgers, "rounds": made.rounds},
        [*lines, f"written to {file}"],
        as_json,
    )


@database.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `database backup` wrote.", exists=True)],
    config: ConfigPath = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the records of today, which are kept under another name."""
    from cvat_bridge.recovery.copies.archive import put_back

    configs = _configs(config)
    with _resting(configs):
        done = put_back(configs, file)
    lines = [f"set aside: {old} is now {new}" for old, new in done.set_aside.items()]
    lines += [f"project {number}: {rows} rows" for number, rows in done.backup.ledgers.items()]
    lines.append(f"the records of {done.backup.made} are back")
    _answer({"made": done.backup.made, "set_aside": done.set_aside}, lines, as_json)


@database.command()
def move(
    url: Annotated[
        str | None,
        typer.Argument(
            help="Where to: postgresql://user@host/name. Without it: to `database_url`, where the"
            " configuration names a server already and the records still lie in home."
        ),
    ] = None,
    config: ConfigPath = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Move all records from home to a PostgreSQL server, and compare them row for row."""
    from cvat_bridge.recovery.copies.moving import move as carry
    from cvat_bridge.recovery.copies.moving import take_over

    remember_address(url)
    configs = _configs(config)
    with _resting(configs):
        done = take_over(configs) if url is None else carry(configs, url)
    if done is None:
        _answer({"ledgers": {}}, ["nothing lies in home that is to be moved"], as_json)
        return
    lines = [f"project {number}: {rows} rows, all equal" for number, rows in done.ledgers.items()]
    lines.append(f"the records of rounds: {done.rounds} rows, all equal")
    lines += [f"set aside: {old} is now {new}" for old, new in done.set_aside.items()]
    if url is not None:
        lines.append(f"now set `database_url` in {config} to this address, and start the bridge")
    aside = {str(old): str(new) for old, new in done.set_aside.items()}
    _answer(
        {"ledgers": done.ledgers, "rounds": done.rounds, "set_aside": aside},
        lines,
        as_json,
    )


def _configs(path: Path) -> list[Config]:
    from cvat_bridge.projects import load_served

    served = load_served(path)
    if not served.projects:
        served.of(None)  # says what to do
    return [row.config for row in served.projects]


@contextmanager
def _resting(configs: Sequence[Config]) -> Iterator[None]:
    """Hold home and database, so that no bridge works on the records meanwhile."""
    from cvat_bridge.home import Home
    from cvat_bridge.ledger.leading import leading

    with Home.of(configs[0]).held(), leading(configs[0], by="command"):
        yield


def _answer(content: dict[str, object], lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(content))
        return
    for line in lines:
        out.print(line, markup=False, highlight=False)
