"""`cvat-bridge restore` from its first look to its last word."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.config import Config, Secrets
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.cvat.lease import ProjectLease
from cvat_bridge.database.damage import damage_of, set_aside
from cvat_bridge.errors import RecordsError
from cvat_bridge.home import Home
from cvat_bridge.ledger.leading import bridge_identity, leading
from cvat_bridge.ledger.opening import ledger_of, ledger_place
from cvat_bridge.loop.workflow import rounds_name
from cvat_bridge.progress import Report, quiet
from cvat_bridge.recovery.durable import DurableRound, database_file, forget_rounds, read_rounds
from cvat_bridge.recovery.restoring import Restored, restore


@dataclass(frozen=True)
class RestoreOutcome:
    """What `restore` did. set_aside: damaged files → where they lie now."""

    restored: Restored
    set_aside: dict[Path, Path]


def restore_home(
    config: Config,
    secrets: Secrets,
    *,
    report: Report = quiet,
    now: Callable[[], str] = lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
) -> RestoreOutcome:
    """Set damaged records aside, and find again what they held; see restoring.restore.

    Raises HomeHeldError while a bridge works in the home, ProjectTakenError while another one
    works on the project, HomeError, GatewayError, and RecordsError where the records of rounds lie
    on a server that does not answer.
    """
    with (
        Home.of(config).held(),
        leading(config, by="command"),
        connected(config, secrets) as gateway,
    ):
        return restore_with(gateway, config, report=report, now=now)


def restore_with(
    gateway: Gateway, config: Config, *, report: Report = quiet, now: Callable[[], str]
) -> RestoreOutcome:
    """Do it over an open line to CVAT, in a home that is held."""
    home = Home.of(config)
    url = config.database_url or home.rounds_url
    name = rounds_name(None if config.library is None else config.project_id)
    holder, told = bridge_identity(config), home.place
    lease = ProjectLease(gateway, config.project_id, holder=holder, description=told)
    try:
        lease.take()
        aside = _set_damaged_aside(ledger_place(config).file)
        durable = _durable(url, name, aside)
        with ledger_of(config) as ledger:
            done = restore(
                gateway,
                ledger,
                durable,
                project_id=config.project_id,
                home=home,
                now=now,
                report=report,
            )
        if done.ended:
            forget_rounds(url, name, done.ended)
        return RestoreOutcome(done, aside)
    finally:
        lease.release()


def sentences(outcome: RestoreOutcome) -> list[str]:
    """Return what was done, what was found and what is lost, one line each."""
    done = outcome.restored
    lines = [f"set aside: {old} (damaged) is now {new}" for old, new in outcome.set_aside.items()]
    found = (
        (done.rounds, f"rounds: {', '.join(map(str, done.rounds))}"),
        (done.tasks, f"tasks of rounds in CVAT: {', '.join(map(str, done.tasks))}"),
        (done.frames, f"frames that are out and not handed out again: {done.frames}"),
        (done.sides, f"images whose side of the holdout is known: {done.sides}"),
        (done.jobs, f"finished jobs that were learnt from: {done.jobs}"),
        (done.decisions, f"decisions on what serves: {done.decisions}"),
    )
    lines += [f"restored: {text}" for there, text in found if there]
    if done.ended:
        numbers = ", ".join(map(str, done.ended))
        lines.append(
            f"ended: round {numbers} was under way and does not go on; jobs that it made stay in "
            "CVAT as they are, perhaps without pre-annotations and assignees"
        )
    if done.unread:
        lines.append(
            f"not read: the images of {done.unread} frames that are out; frames with equal images "
            "may be handed out"
        )
    lines += [f"lost: {text}" for text in done.lost]
    return lines or ["the ledger knows all that CVAT and the home know; nothing was changed"]


def _durable(url: str, name: str, aside: dict[Path, Path]) -> tuple[DurableRound, ...]:
    try:
        return read_rounds(url, name)
    except RecordsError:
        file = database_file(url)
        if file is None:
            raise
        aside[file] = set_aside(file, "damaged")
        return ()


def _set_damaged_aside(file: Path | None) -> dict[Path, Path]:
    if file is None or not damage_of(file):
        return {}
    return {file: set_aside(file, "damaged")}
