"""`cvat-bridge database` backup, restore and move, between real databases."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing

import psycopg
import pytest
import yaml
from psycopg import sql
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.errors import HomeError, HomeHeldError, LedgerError, RecordsError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.opening import ledger_of, ledger_place
from cvat_bridge.loop.workflow import Durable, Rounds, Step
from cvat_bridge.projects import load_served
from cvat_bridge.recovery.durable import read_rounds
from tests.fakes.old_ledger import write_old_ledger

PROJECTS = (12, 13)


def perform(url, folder):
    """Let a round be recorded by DBOS."""
    with Ledger(folder / "scratch.db") as ledger, Durable(url) as durable:
        steps = [Step("first", lambda number, _: {"value": number, "text": "ü"})]
        rounds = Rounds(steps, ledger, project_id=12, durable=durable)
        durable.launch()
        rounds.run(3)


@pytest.fixture(scope="module")
def performed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("performed")
    perform(f"sqlite:///{folder / 'rounds.db'}", folder)
    return folder / "rounds.db"


@pytest.fixture
def written(tmp_path, performed):
    """A home of two projects with ledgers of the first release, and its configuration file."""
    path = tmp_path / "cvat-bridge.yaml"
    configure(path)
    for row in load_served(path).projects:
        write_old_ledger(Home.of(row.config).ledger, 3)
    shutil.copyfile(performed, tmp_path / "home" / "rounds.db")
    return path


def configure(path, **more):
    projects = [{"id": number} for number in PROJECTS]
    settings = {"home": "home", "cvat": {"url": "http://127.0.0.1:1"}, "projects": projects, **more}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def command(path, *words):
    return CliRunner().invoke(app, ["database", *words, "-c", str(path)], catch_exceptions=True)


def rows_of(path):
    """All rows of all tables of every project, whatever the database, as plain values."""
    return {row.id: _rows(ledger_place(row.config)) for row in load_served(path).projects}


def _rows(place):
    found = {}
    if place.file is not None:
        with closing(sqlite3.connect(place.file)) as db:
            names = db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
            )
            for (name,) in names.fetchall():
                found[name] = db.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608
    else:
        with psycopg.connect(place.url.replace("+psycopg", "")) as db:
            names = db.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> %s",
                (place.schema, "alembic_version"),
            )
            for (name,) in names.fetchall():
                query = sql.SQL("SELECT * FROM {}.{}")
                query = query.format(sql.Identifier(place.schema), sql.Identifier(name))
                found[name] = db.execute(query).fetchall()
    # A table that a newer version added has no rows yet.
    return {name: sorted(map(repr, _plain(rows))) for name, rows in found.items() if rows}


def _plain(rows):
    return [tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows]


def test_a_move_to_postgresql_leaves_every_row_equal_and_work_goes_on_there(written, database_url):
    before = rows_of(written)
    recorded = read_rounds(f"sqlite:///{written.parent / 'home' / 'rounds.db'}", "round")

    answer = command(written, "move", database_url)

    assert answer.exit_code == 0, answer.output
    assert "project 12: 24 rows, all equal" in answer.stdout
    assert "now set `database_url`" in answer.stdout
    configure(written, database_url=database_url)
    assert rows_of(written) == before
    assert read_rounds(database_url, "round") == recorded
    assert [row.number for row in recorded] == [3]
    config = load_served(written).of(12).config
    with ledger_of(config) as ledger:
        assert ledger.identity == "0a1b2c3d"
    assert not Home.of(config).ledger.exists()


def test_a_move_that_was_interrupted_is_done_again_and_nothing_is_written_over(
    written, database_url
):
    saved = written.parent / "saved.db"
    first = load_served(written).of(12).config
    assert command(written, "move", database_url).exit_code == 0
    moved = next(Home.of(first).root.glob("ledger.db.moved-*"))
    shutil.copyfile(moved, Home.of(first).ledger)  # as if it had not come so far

    again = command(written, "move", database_url)
    assert again.exit_code == 0, again.output

    shutil.copyfile(moved, saved)
    with Ledger(saved) as ledger:
        ledger.take_identity("ffffffff")
    shutil.copyfile(saved, Home.of(first).ledger)
    refused = command(written, "move", database_url)
    assert isinstance(refused.exception, LedgerError)
    assert "already holds other records" in str(refused.exception)
    assert "(identity)" in str(refused.exception)
    assert Home.of(first).ledger.exists()


def test_records_in_home_are_named_where_the_configuration_names_a_server(written, database_url):
    """A move without an address takes them to the configured server."""
    configure(written, database_url=database_url)
    config = load_served(written).of(12).config
    with pytest.raises(LedgerError, match="still lie in .*`cvat-bridge database move`"):
        ledger_of(config)

    assert command(written, "move").exit_code == 0

    with ledger_of(config) as ledger:
        assert ledger.identity == "0a1b2c3d"
    configure(written)
    with pytest.raises(LedgerError, match="were moved from .* to a server"):
        ledger_of(load_served(written).of(12).config)


def test_ledgers_join_the_rounds_that_were_on_the_server_all_along(written, database_url, tmp_path):
    """As in version 0.1, where database_url was of the records of rounds alone."""
    (written.parent / "home" / "rounds.db").unlink()
    (tmp_path / "there").mkdir()
    perform(database_url, tmp_path / "there")
    before = rows_of(written)
    configure(written, database_url=database_url)

    answer = command(written, "move")

    assert answer.exit_code == 0, answer.output
    assert rows_of(written) == before
    assert [row.number for row in read_rounds(database_url, "round")] == [3]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_made_while_a_ledger_is_open_is_put_back_row_for_row(kind, written, request):
    if kind == "postgresql":
        url = request.getfixturevalue("database_url")
        assert command(written, "move", url).exit_code == 0
        configure(written, database_url=url)
    config = load_served(written).of(12).config
    archive = written.parent / "backup.zip"
    with ledger_of(config) as ledger, ledger_of(load_served(written).of(13).config):
        before = rows_of(written)
        made = command(written, "backup", str(archive), "--json")
        assert made.exit_code == 0, made.output
        assert json.loads(made.stdout)["ledgers"] == {"12": 24, "13": 24}
        ledger.take_identity("ffffffff")
        ledger.set_labels([])

    assert rows_of(written) != before
    answer = command(written, "restore", str(archive))

    assert answer.exit_code == 0, answer.output
    assert "set aside" in answer.stdout and "are back" in answer.stdout
    assert rows_of(written) == before
    url = load_served(written).shared.database_url
    url = url or f"sqlite:///{written.parent / 'home' / 'rounds.db'}"
    assert [row.number for row in read_rounds(url, "round")] == [3]


def test_a_backup_goes_from_files_to_a_server(written, database_url):
    before = rows_of(written)
    archive = written.parent / "backup.zip"
    assert command(written, "backup", str(archive)).exit_code == 0
    shutil.rmtree(written.parent / "home")
    configure(written, database_url=database_url)

    answer = command(written, "restore", str(archive))

    assert answer.exit_code == 0, answer.output
    assert rows_of(written) == before


def test_a_backup_is_never_written_over_another_file(written):
    archive = written.parent / "backup.zip"
    archive.write_text("mine", encoding="utf-8")

    refused = command(written, "backup", str(archive))

    assert isinstance(refused.exception, HomeError)
    assert archive.read_text(encoding="utf-8") == "mine"


def unpacked(archive):
    with zipfile.ZipFile(archive) as old:
        return {name: old.read(name) for name in old.namelist()}


def packed(archive, parts):
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)


@pytest.mark.parametrize(
    "fault", ["no zip", "cut off", "changed", "of another project", "of a later program"]
)
def test_what_is_no_whole_backup_changes_nothing(fault, written):
    archive = written.parent / "backup.zip"
    assert command(written, "backup", str(archive)).exit_code == 0
    before = rows_of(written)
    if fault == "no zip":
        archive.write_bytes(b"PK" * 100)
    elif fault == "cut off":
        archive.write_bytes(archive.read_bytes()[:-400])
    elif fault == "changed":
        parts = unpacked(archive)
        packed(archive, {**parts, "project-13.db": parts["project-12.db"][:-1] + b"x"})
    elif fault == "of a later program":
        parts, later = unpacked(archive), written.parent / "later.db"
        later.write_bytes(parts["project-13.db"])
        with closing(sqlite3.connect(later)) as db:
            db.execute("PRAGMA user_version = 99")
        manifest = json.loads(parts["manifest.json"])
        manifest["sha256"]["project-13.db"] = hashlib.sha256(later.read_bytes()).hexdigest()
        changed = {"project-13.db": later.read_bytes(), "manifest.json": json.dumps(manifest)}
        packed(archive, {**parts, **changed})
    else:
        configure(written, projects=[{"id": 12}])

    refused = command(written, "restore", str(archive))

    assert isinstance(refused.exception, LedgerError)
    named = "has version 99" if fault == "of a later program" else str(archive)
    assert named in str(refused.exception)
    configure(written)
    assert rows_of(written) == before


def test_nothing_is_put_back_under_a_bridge_that_works(written):
    archive = written.parent / "backup.zip"
    assert command(written, "backup", str(archive)).exit_code == 0
    with Home(written.parent / "home").held("service"):
        for words in (("restore", str(archive)), ("move", "postgresql://eva@127.0.0.1:1/x")):
            assert isinstance(command(written, *words).exception, HomeHeldError)


def test_a_damaged_ledger_is_not_moved(written, database_url):
    file = Home.of(load_served(written).of(12).config).ledger
    file.write_bytes(b"no database" * 1000)

    refused = command(written, "move", database_url)

    assert isinstance(refused.exception, RecordsError)
    assert file.exists()
