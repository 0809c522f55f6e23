"""A fit for the loop or by hand, and the interactor of a project."""

from trainer.moved import names_of

__getattr__ = names_of("cvat_bridge.training.manual")
