"""The model registry: versions, champions, and their storage."""

from trainer.moved import names_of

__getattr__ = names_of("trainer.registry.registry")
