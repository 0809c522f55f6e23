"""CVAT's wire format: parse and validate requests, write responses."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.wire.requests")
