from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, inspect

from cvat_bridge.database import project_tables, service_tables, versions

TABLES = {"project": project_tables.metadata, "service": service_tables.metadata}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    url = "sqlite://"
    if request.param == "postgresql":
        url = request.getfixturevalue("database_url").replace("://", "+psycopg://", 1)
    made = create_engine(url).execution_options(schema_translate_map={"service": None})
    yield made
    made.dispose()


@pytest.mark.parametrize("kind", versions.NEWEST)
def test_the_migrations_lead_to_the_tables_of_today(engine, kind):
    """Tables that are made at once are those that older ones become."""
    folder = versions.MIGRATIONS
    scripts = ScriptDirectory(str(folder), version_locations=[str(folder / kind)])
    steps = list(reversed(list(scripts.walk_revisions())))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        with Operations.context(context):
            for step in steps:
                step.module.upgrade()
        today = TABLES[kind].tables.values()

        assert [step.revision for step in steps][-1] == str(versions.NEWEST[kind])
        assert {table.name for table in today} == set(inspect(connection).get_table_names())
        assert compare_metadata(context, _without_schema(TABLES[kind])) == []


def _without_schema(metadata):
    plain = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(plain, schema=None)
    return plain
