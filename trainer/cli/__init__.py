"""The command line: the program `trainer`."""

from trainer.moved import names_of

__getattr__ = names_of("trainer.cli.app")
