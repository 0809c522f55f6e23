"""The function host: the models in memory and the routes of Nuclio that CVAT calls."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.host.server")
