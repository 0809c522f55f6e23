"""What a bridge makes sure of before it works: whole records, and the project to itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from cvat_bridge.config import Config
from cvat_bridge.cvat.lease import ProjectLease
from cvat_bridge.database.damage import damage_of
from cvat_bridge.database.faults import damaged
from cvat_bridge.errors import UnreachableError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.leading import bridge_identity
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.workflow import Answer, Answers, Step, rounds_name
from cvat_bridge.models.repair import repair_champion
from cvat_bridge.recovery.comparing import compare_cvat, compare_home
from cvat_bridge.recovery.durable import read_rounds

log = structlog.get_logger("service")


@dataclass
class StartupChecks:
    """What has to be asked of CVAT before anything is done there; asked once, when it answers."""

    parts: Parts
    lease: ProjectLease
    _compared: bool = field(default=False, init=False)

    def check(self) -> None:
        """Go on only as the one bridge of the project whose ledger knows all of its rounds.

        A champion that cannot serve is mended on the way.

        Raises RecordsError, ProjectTakenError, GatewayError.
        """
        self.lease.take()
        self.lease.check()
        if not self._compared:
            parts = self.parts
            tasks = parts.gateway.tasks(parts.config.project_id)
            compare_cvat(parts.ledger, tasks)
            for told in repair_champion(
                parts.gateway, parts.config, parts.home, parts.ledger, parts.registry
            ):
                log.warning("champion", what=told)
            self._compared = True

    def guarded(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """Give the steps, each of which checks first: a round may go on before the first look."""
        return tuple(Step(step.name, partial(self._checked, step)) for step in steps)

    def _checked(self, step: Step, number: int, answers: Answers) -> Answer:
        self.check()
        return step.run(number, answers)


def compare_records(config: Config, ledger: Ledger) -> None:
    """Hold the ledger against what the home knows, without CVAT. Raises RecordsError."""
    file = ledger.place.file
    if file is not None and (damage := damage_of(file)):
        raise damaged(ledger.place, damage)
    home = Home.of(config)
    name = rounds_name(None if config.library is None else config.project_id)
    durable = read_rounds(config.database_url or home.rounds_url, name)
    compare_home(ledger, durable, home, project_id=config.project_id)


@contextmanager
def startup_checks(parts: Parts) -> Iterator[StartupChecks]:
    """Compare the records and take the project for this bridge; give it back at the end.

    What CVAT has to tell is left to the first look while it does not answer. Raises RecordsError,
    ProjectTakenError, GatewayError.
    """
    compare_records(parts.config, parts.ledger)
    holder, told = bridge_identity(parts.config), parts.home.place
    lease = ProjectLease(parts.gateway, parts.config.project_id, holder=holder, description=told)
    start = StartupChecks(parts, lease)
    try:
        try:
            start.check()
        except UnreachableError as error:
            log.warning(
                "CVAT does not answer; the records are compared when it does", why=str(error)
            )
        yield start
    finally:
        lease.release()
