"""Names that the service and its workers must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cvat_bridge.config import Config
from cvat_bridge.database.place import is_server

if TYPE_CHECKING:
    from dbos import DBOSConfig

# Counted up when a request or an answer changes its form: workers of another number are passed by.
PROTOCOL = 1
QUEUES = ("fit", "predict")
ANY = "any"
# A schema of its own: rounds, which belong to the service, are never taken by a worker.
SCHEMA = "cvat_bridge_work"
APPLICATION = "cvat-bridge-work"
WORKER = "worker/"  # how the names of workers' leases begin
STOP = "stop/"  # and of the flags that stop a fit


def queue_name(queue: str, device: str = ANY) -> str:
    """Return the queue of work that any device, or only this one, may do."""
    return f"{queue}/{PROTOCOL}/{device}"


def is_spread(config: Config) -> bool:
    """Whether other machines can take work: they share a database server and a store."""
    return is_server(config.database_url) and config.store is not None


def durable_config(config: Config, executor: str) -> DBOSConfig:
    """Return DBOS's configuration for a worker's process.

    executor: unique among the living, since two with one name would take each other's work.
    """
    return {
        "name": APPLICATION,
        "system_database_url": config.database_url,
        "dbos_system_schema": SCHEMA,
        "application_version": str(PROTOCOL),
        "executor_id": executor,
        "enable_otlp": False,
        "log_level": "CRITICAL",
    }
