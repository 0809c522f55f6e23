"""What people type: the program `cvat-bridge`."""

from trainer.moved import names_of

__getattr__ = names_of("cvat_bridge.cli.app")
