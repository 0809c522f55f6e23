"""Who works: one lease a worker, renewed while it lives, with what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from cvat_bridge.config import Config
from cvat_bridge.database.engine import Database
from cvat_bridge.database.leases import Lease, Leases
from cvat_bridge.ledger.opening import service_place_of
from cvat_bridge.queues.names import ANY, PROTOCOL, WORKER


@dataclass(frozen=True)
class Worker:
    """A worker that is there.

    name: its executor id. machine: where it runs. version: of this program; protocol: see PROTOCOL.
    queues, device: what it takes. memory: bytes of the device, or of the machine where that is the
    processor. doing: what it is at, {} for nothing. since: seconds since 1970.
    """

    name: str
    machine: str
    version: str
    protocol: int
    queues: tuple[str, ...]
    device: str
    memory: int
    doing: Mapping[str, Any] = field(default_factory=dict)
    since: float = 0.0

    def about(self) -> dict[str, Any]:
        """Return what its lease says of it."""
        return {
            "machine": self.machine,
            "version": self.version,
            "protocol": self.protocol,
            "queues": list(self.queues),
            "device": self.device,
            "memory": self.memory,
            "doing": dict(self.doing),
        }

    @classmethod
    def of(cls, lease: Lease) -> Worker:
        """Read what a lease says."""
        said = lease.about
        return cls(
            lease.name.removeprefix(WORKER),
            str(said.get("machine", "")),
            str(said.get("version", "")),
            int(said.get("protocol", 0)),
            tuple(said.get("queues", ())),
            str(said.get("device", "")),
            int(said.get("memory", 0)),
            dict(said.get("doing", {})),
            lease.since,
        )


@contextmanager
def service_database(config: Config) -> Iterator[Database]:
    """Open what the machines of a configuration have in common. Raises LedgerError."""
    with closing(Database(service_place_of(config))) as database:
        yield database


def workers(leases: Leases) -> tuple[Worker, ...]:
    """Return the workers that live, by name."""
    return tuple(Worker.of(lease) for lease in leases.held(WORKER))


def who_can(there: Iterable[Worker], queue: str, device: str = ANY) -> tuple[Worker, ...]:
    """Return the workers that take such work as this version asks for it."""
    return tuple(
        one
        for one in there
        if one.protocol == PROTOCOL and queue in one.queues and device in (ANY, one.device)
    )


def nobody(there: Iterable[Worker], queue: str, device: str) -> str:
    """Return why no worker takes a piece of work, and what to do."""
    rows = [
        f"{one.name} on {one.device} ({', '.join(one.queues)}; version {one.version}"
        + ("" if one.protocol == PROTOCOL else ", which this one cannot give work to")
        + ")"
        for one in there
    ]
    known = f"there are: {'; '.join(rows)}" if rows else "there are no workers"
    where = "" if device == ANY else f" with the device {device}"
    start = f"cvat-bridge worker --queues {queue}" + (
        "" if device == ANY else f" --device {device}"
    )
    return f"no worker{where} takes work of the queue {queue}; {known}. Start one by `{start}`"
