"""Versions of models, which of them is the champion, and where it is kept."""
