"""Migrations of a project's ledger, one file a version."""
