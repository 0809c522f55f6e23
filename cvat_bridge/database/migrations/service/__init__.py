"""Migrations of what the projects of a service share, one file a version."""
