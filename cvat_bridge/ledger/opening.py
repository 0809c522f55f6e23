"""The ledger of a configured project, wherever it stands."""

from __future__ import annotations

from cvat_bridge.config import Config
from cvat_bridge.database.engine import Fence
from cvat_bridge.database.place import Place, is_server, project_place, service_place
from cvat_bridge.errors import LedgerError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger

PATIENT = 120.0  # seconds for which the loop waits for a server that went away
MOVED = "moved"  # in the name of a file whose records are on a server now


def ledger_of(config: Config, *, away: float = 0.0, fence: Fence | None = None) -> Ledger:
    """Open the ledger of a project; see Ledger for away and fence.

    Raises ConfigError, and LedgerError, also where the records are not where `database_url` says.
    """
    place = ledger_place(config)
    _check_not_elsewhere(config)
    return Ledger(place, away=away, fence=fence)


def ledger_place(config: Config) -> Place:
    """Return where the ledger of a project stands. Raises ConfigError."""
    home = Home.of(config)
    return project_place(
        config.database_url, home.ledger, config.cvat.project, service=home.service_records
    )


def service_place_of(config: Config) -> Place:
    """Return where stands what the projects of a service have in common. Raises ConfigError."""
    return service_place(config.database_url, Home.of(config).service_records)


def _check_not_elsewhere(config: Config) -> None:
    file = Home.of(config).ledger
    if is_server(config.database_url):
        if file.exists():
            raise LedgerError(
                f"database_url names a server, and the records of project {config.cvat.project} "
                f"still lie in {file}. Stop the bridge and run `cvat-bridge database move`: it "
                "takes them there, and a start of the service does the same"
            )
    elif not file.exists() and any(file.parent.glob(f"{file.name}.{MOVED}-*")):
        raise LedgerError(
            f"the records of this project were moved from {file} to a server, and database_url "
            "names none. Set it to that server's address"
        )
