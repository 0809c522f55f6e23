"""The long-running process: webhooks and polling."""

from trainer.moved import names_of

__getattr__ = names_of("cvat_bridge.service.service")
