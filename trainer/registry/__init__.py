"""Versions of models, which of them is the champion, and where it is kept."""

from trainer.moved import names_of

__getattr__ = names_of("trainer.registry.registry")
