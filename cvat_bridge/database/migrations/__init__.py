"""Alembic's migrations: of a project's ledger, and of what the projects of a service share."""
