"""Finished labels that are likely wrong."""

from trainer.moved import names_of

__getattr__ = names_of("cvat_bridge.mistakes.ranking")
