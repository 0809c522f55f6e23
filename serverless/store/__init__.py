"""The published functions of the function host, their folders and descriptions."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.store.functions")
