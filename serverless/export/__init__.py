"""Export a model as a folder for `nuctl deploy`."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.export.folder")
