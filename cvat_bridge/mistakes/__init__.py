"""Finished labels that are likely wrong."""
