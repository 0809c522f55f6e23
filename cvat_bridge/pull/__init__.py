"""Finished jobs become a snapshot."""
