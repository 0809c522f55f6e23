"""Finished jobs become a snapshot."""

from trainer.moved import names_of

__getattr__ = names_of("cvat_bridge.pull.pull")
