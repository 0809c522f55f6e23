"""What the function host serves: published functions, their folders and their descriptions."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.store.functions")
