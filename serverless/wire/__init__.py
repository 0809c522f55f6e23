"""CVAT's requests and answers: checked, parsed, written."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.wire.requests")
