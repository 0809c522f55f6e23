"""A piece of work is put into a queue and waited for, from within a step of a round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from dbos import DBOSClient

from cvat_bridge.config import Config
from cvat_bridge.database.flags import Flags
from cvat_bridge.database.leases import Leases
from cvat_bridge.errors import NotReadyError
from cvat_bridge.queues.names import ANY, APPLICATION, PROTOCOL, SCHEMA, queue_name
from cvat_bridge.queues.presence import Worker, nobody, service_database, who_can, workers

_FAILED = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_POLL_SECONDS = 0.25
_PIECE = 500  # names in one query
_ALONE_SECONDS = 45.0  # longer than a lease: then nobody is left who could take the work
log = structlog.get_logger("work")


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
        self, asked: Sequence[Asked], on_progress: Callable[[int, tuple[Worker, ...]], None]
    ) -> list[dict[str, Any]]:
        """Have the work done, each piece once, and return the answers in order.

        What was asked before is not done again. on_progress: called with how many are done, and
        who is there. Raises NotReadyError, naming the workers, when none takes it, WorkFailedError.
        """
        there = self.workers()
        for one in asked:
            if not who_can(there, one.workflow, one.device):
                raise NotReadyError(nobody(there, one.workflow, one.device))
        waiting = self._begin(asked)
        answers: dict[str, dict[str, Any]] = {}
        alone_since = time.monotonic()
        while waiting:
            for name, status in self._statuses(waiting).items():
                if status == "SUCCESS" or status in _FAILED:
                    # Of what failed, this raises what it ended with.
                    answers[waiting.pop(name).id] = self._client.retrieve_workflow(
                        name
                    ).get_result()
            there = self.workers()
            on_progress(len(answers), there)
            left = list(waiting.values())
            if all(who_can(there, one.workflow, one.device) for one in left):
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > _ALONE_SECONDS:
                # Else whoever joins later would do what has been done otherwise by then.
                self._client.cancel_workflows(list(waiting))
                raise NotReadyError(nobody(there, left[0].workflow, left[0].device))
            time.sleep(_POLL_SECONDS if waiting else 0)
        return [answers[one.id] for one in asked]

    def _begin(self, asked: Sequence[Asked]) -> dict[str, Asked]:
        """Put work into its queue, unless it is there or done; return it by its name there.

        What failed before is asked for anew.
        """
        names: dict[str, Asked] = {}
        unnamed, attempt = {one.id: one for one in asked}, 0
        while unnamed:
            attempt += 1
            tried = {
                name if attempt == 1 else f"{name}/again-{attempt}": one
                for name, one in unnamed.items()
            }
            found = self._statuses(tried)
            for name, one in tried.items():
                if found.get(name) in _FAILED:
                    continue
                if name not in found:
                    self._enqueue(name, one)
                names[name] = unnamed.pop(one.id)
        return names

    def _enqueue(self, name: str, asked: Asked) -> None:
        self._client.enqueue(
            {
                "queue_name": queue_name(asked.workflow, asked.device),
                "workflow_name": asked.workflow,
                "workflow_id": name,
                "app_version": str(PROTOCOL),
            },
            dict(asked.request),
        )

    def _statuses(self, named: Iterable[str]) -> dict[str, str]:
        """Return how far each piece of work is that was ever asked for."""
        names, found = list(named), {}
        for start in range(0, len(names), _PIECE):
            rows = self._client.list_workflows(
                workflow_ids=names[start : start + _PIECE], load_input=False, load_output=False
            )
            found.update({row.workflow_id: str(row.status) for row in rows})
        return found


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
