"""What a worker stands on: the configuration, its own caches, the store, and CVAT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cvat_bridge.config import Config, Secrets
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.projects import load_served
from cvat_bridge.queues.names import is_spread
from cvat_bridge.store.opening import blobs_of
from trainer.blobs.store import BlobStore


@dataclass
class WorkPlace:
    """The files and connections of a worker.

    device: on which its models learn. threads: of a model that reads frames, None for one a core.
    """

    path: Path
    secrets: Secrets
    shared: Config
    blobs: BlobStore
    device: str
    threads: int | None
    _stack: ExitStack
    _gateways: dict[int, Gateway] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        """The workers' own folder: caches alone, which may vanish; apart from the service's."""
        return Home(self.shared.home / "worker")

    def project(self, number: int) -> Config:
        """Return the configuration of a project; ConfigError where this machine's has none."""
        return load_served(self.path).of(number).config

    def gateway(self, number: int) -> Gateway:
        """Return the connection to CVAT for a project."""
        if number not in self._gateways:
            own = {"home": self.home.root, "library": None}
            config = self.project(number).model_copy(update=own)
            self._gateways[number] = self._stack.enter_context(connected(config, self.secrets))
        return self._gateways[number]


@contextmanager
def work_place(
    path: Path, secrets: Secrets, *, device: str, threads: int | None
) -> Iterator[WorkPlace]:
    """Open it. Raises ConfigError where other machines cannot share work, BlobError."""
    shared = load_served(path).shared
    blobs = blobs_of(shared)
    if blobs is None or not is_spread(shared):
        raise ConfigError(
            [
                (
                    f"{path}: a worker needs `database_url: postgresql://…` and `store:`, the same "
                    "as the service has: that is where work is handed over"
                )
            ]
        )
    blobs.create()
    with ExitStack() as stack:
        yield WorkPlace(path, secrets, shared, blobs, device, threads, stack)
