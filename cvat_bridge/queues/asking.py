"""A piece of work is put into a queue and waited for, from within a step of a round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from dbos import DBOSClient

from cvat_bridge.config import Config
from cvat_bridge.database.flags import Flags
from cvat_bridge.database.leases import Leases
from cvat_bridge.errors import BridgeError, NotReadyError
from cvat_bridge.queues.names import ANY, APPLICATION, PROTOCOL, SCHEMA, queue_name
from cvat_bridge.queues.presence import Worker, nobody, service_database, who_can, workers

_FAILED = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_POLL_SECONDS = 0.25
_ALONE_SECONDS = 45.0  # longer than a lease: then nobody is left who could take the work
log = structlog.get_logger("work")


class WorkFailedError(BridgeError):
    """Work on another machine failed; plain fields, so that it can be recorded and read back."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(kind, message)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Asked:
    """A piece of work. workflow: "fit" or "predict", and its queue. id: names it for good."""

    workflow: str
    id: str
    request: Mapping[str, Any]
    device: str = ANY


class Queues:
    """The queues of a configuration. Raises LedgerError when the database cannot be used."""

    def __init__(self, client: DBOSClient, leases: Leases, flags: Flags) -> None:
        self._client, self._leases, self.flags = client, leases, flags

    def workers(self) -> tuple[Worker, ...]:
        """Return the workers that live."""
        return workers(self._leases)

    def work(
        self, asked: list[Asked], on_progress: Callable[[int, tuple[Worker, ...]], None]
    ) -> list[dict[str, Any]]:
        """Have the work done, each piece once, and return the answers in order.

        What was asked before is not done again. on_progress: called with how many are done, and
        who is there. Raises NotReadyError, naming the workers, when none takes it, WorkFailedError.
        """
        there = self.workers()
        for one in asked:
            if not who_can(there, one.workflow, one.device):
                raise NotReadyError(nobody(there, one.workflow, one.device))
        handles = [self._begin(one) for one in asked]
        waiting, alone_since = dict(enumerate(handles)), time.monotonic()
        answers: dict[int, dict[str, Any]] = {}
        while waiting:
            for place, handle in list(waiting.items()):
                status = handle.get_status().status
                if status == "SUCCESS":
                    answers[place] = handle.get_result()
                    del waiting[place]
                elif status in _FAILED:
                    handle.get_result()  # raises what it ended with
            there = self.workers()
            on_progress(len(answers), there)
            left = [asked[place] for place in waiting]
            if all(who_can(there, one.workflow, one.device) for one in left):
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > _ALONE_SECONDS:
                raise NotReadyError(nobody(there, left[0].workflow, left[0].device))
            time.sleep(_POLL_SECONDS if waiting else 0)
        return [answers[place] for place in range(len(asked))]

    def _begin(self, asked: Asked) -> Any:
        """Put work into its queue, unless it is there or done; what failed is asked for anew."""
        attempt = 0
        while True:
            attempt += 1
            name = asked.id if attempt == 1 else f"{asked.id}/again-{attempt}"
            found = self._client.list_workflows(workflow_ids=[name])
            if not found:
                return self._client.enqueue(
                    {
                        "queue_name": queue_name(asked.workflow, asked.device),
                        "workflow_name": asked.workflow,
                        "workflow_id": name,
                        "app_version": str(PROTOCOL),
                    },
                    dict(asked.request),
                )
            if found[0].status not in _FAILED:
                return self._client.retrieve_workflow(name)


@contextmanager
def opened_queues(config: Config) -> Iterator[Queues | None]:
    """Open the queues; None where no worker has ever joined, so that nobody could take anything."""
    with service_database(config) as database:
        leases = Leases(database)
        if not workers(leases):
            yield None
            return
        client = DBOSClient(
            system_database_url=config.database_url,
            dbos_system_schema=SCHEMA,
            application_name=APPLICATION,
        )
        try:
            yield Queues(client, leases, Flags(database))
        finally:
            client.destroy()
