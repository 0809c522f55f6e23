"""One model becomes a folder that `nuctl deploy` takes."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.export.folder")
