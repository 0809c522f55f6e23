"""What every step of a round stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Gateway, Label
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.models.serving import project_key
from cvat_bridge.progress import EventCallback, Report, ignore_event, quiet
from cvat_bridge.project.facts import Facts, gather
from cvat_bridge.project.reading import ProjectReader
from cvat_bridge.queues.spreading import Spread
from cvat_bridge.settings import RoundSettings
from cvat_bridge.store.artefacts import SNAPSHOTS, bring_folder
from trainer.blobs.store import BlobStore
from trainer.embedding import Descriptor, Embedder
from trainer.registry.registry import Registry


@dataclass(frozen=True)
class Parts:
    """The joined parts of a bridge.

    reader reads the project, None to read it whole each time. blobs: the store of artefacts that
    other machines reach, None where everything stays in home. spread: asks workers, None where
    there cannot be any. now gives the time in ISO 8601.
    embedder gives what turns images into embeddings where no model does; asked for when it is
    needed, since the first time may take seconds.
    """

    config: Config
    settings: RoundSettings
    gateway: Gateway
    ledger: Ledger
    home: Home
    registry: Registry
    reader: ProjectReader | None = None
    blobs: BlobStore | None = None
    spread: Spread | None = None
    report: Report = quiet
    learning: EventCallback = ignore_event
    embedder: Callable[[], Embedder] = Descriptor
    now: Callable[[], str] = lambda: datetime.now(timezone.utc).isoformat(timespec="seconds")

    @property
    def key(self) -> str:
        """The name of this project's models in the registry."""
        return project_key(self.config.project_id)

    @property
    def functions(self) -> Path:
        """The function host's store."""
        return self.config.function_host.store or self.home.functions

    def dataset(self, folder: str, fingerprint: str) -> Path:
        """Return the folder of a snapshot, fetched where another machine made it.

        folder: where it was made. Raises BlobError where nobody has it.
        """
        made = Path(folder)
        if made.is_dir():
            return made
        return bring_folder(self.blobs, SNAPSHOTS, self.home.snapshots / fingerprint)

    def gather(self) -> Facts:
        """Read CVAT and the ledger afresh: the facts of this moment."""
        return gather(
            self.gateway,
            self.ledger,
            self.config.project_id,
            self.settings,
            reader=self.reader,
        )

    def labels(self) -> tuple[Label, ...]:
        """Return the project's labels of today."""
        return self.gateway.labels(project_id=self.config.project_id)
