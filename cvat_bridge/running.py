"""What `cvat-bridge run` does: the loops of all projects, and the web side beside them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from cvat_bridge.assembly import Bridge, durable_of, open_bridge
from cvat_bridge.config import Config, Secrets
from cvat_bridge.database.keeping import KeptLease
from cvat_bridge.database.leases import Lease
from cvat_bridge.database.place import is_server
from cvat_bridge.errors import ConfigError, LeaseLostError
from cvat_bridge.home import Home
from cvat_bridge.ledger.leading import (
    leader_of,
    place_of,
    round_is_asked_for,
    tried_to_lead,
    wait_to_lead,
)
from cvat_bridge.ledger.opening import ledger_of
from cvat_bridge.loop.live_status.fit_progress import fit_lines
from cvat_bridge.loop.status import describe, project_state
from cvat_bridge.models.registries import registry_of
from cvat_bridge.models.serving import now_serving
from cvat_bridge.progress import Report
from cvat_bridge.projects import ServedProjects, load_served, projects_file
from cvat_bridge.recovery.copies.moving import take_over
from cvat_bridge.recovery.startup import compare_records
from cvat_bridge.service.figures import LoopFigures, ProjectState
from cvat_bridge.service.projects import ProjectLoops
from cvat_bridge.service.run_events import add_run_routes
from cvat_bridge.service.service import Loop, make_app
from cvat_bridge.service.standby import stand_by
from cvat_bridge.web.address import page_address
from cvat_bridge.web.app import add_page
from cvat_bridge.web.app import opened as opened_page
from serverless.host.connections import Bounds, server
from serverless.host.server import open_to_all

_OPEN_TO_ALL = (
    "{config}: service.host: refusing to listen on {host}, where every machine that reaches this"
    " one could call. Name the address by which CVAT reaches the bridge, or set"
    " service.listen_anyway: true where that network is closed (a container's own)"
)


def serve(path: Path, secrets: Secrets) -> None:
    """Work on every project of a configuration until the process is told to end.

    Raises ConfigError, HomeHeldError when another process works in the home, and, where there is
    one project, RecordsError when its records were lost. On a server's database it waits while
    another service leads there; LeaseLostError when another one took the lead from it.
    """
    served = load_served(path)
    shared = served.shared
    if not served.projects:
        served.of(None)
    service = shared.service
    if open_to_all(service.host) and not service.listen_anyway:
        raise ConfigError([_OPEN_TO_ALL.format(config=path, host=service.host)])
    while _our_turn(shared):
        # Of several that waited, one leads; the others wait on.
        if _led(path, served, secrets):
            return


def _our_turn(shared: Config) -> bool:
    """Wait, at the service's address, while another service leads; False where we are to end.

    In a home its lock comes first: a second service is told so, and does not wait.
    """
    if not is_server(shared.database_url):
        return True
    leader = leader_of(shared)
    if leader is None:
        return True
    log = structlog.get_logger("service")

    def wait(ended: threading.Event, tell: Callable[[str], None]) -> bool:
        def note_leader(one: Lease) -> None:
            tell(place_of(one))
            log.info("standing by: another service leads", leader=place_of(one))

        return wait_to_lead(shared, ended=ended, waiting=note_leader)

    return stand_by(wait, host=shared.service.host, port=shared.service.port)


def _led(path: Path, served: ServedProjects, secrets: Secrets) -> bool:
    """Lead until the process is told to end; False where another service was quicker.

    Raises LeaseLostError when another service took the lead, which ends this one.
    """
    shared = served.shared
    ends: list[Callable[[], None]] = []

    def lost(_error: LeaseLostError) -> None:
        for end in ends:
            end()

    home = Home.of(shared)
    with (
        home.held("service"),
        tried_to_lead(shared, by="service", on_loss=lost) as lease,
    ):
        if lease is None:
            return False
        _release_when_ended(lease)
        _work(path, served, secrets, lease, ends)
        lease.check()
        return True


def _release_when_ended(lease: KeptLease) -> None:
    """Give the lead back when the system ends the process, so that another service has it at once.

    The web server hands the signal on when it has closed its connections.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    before = signal.getsignal(signal.SIGTERM)  # `up` ends the function host by its own

    def ended(number: int, _frame: FrameType | None) -> None:
        lease.close()
        signal.signal(number, before)
        signal.raise_signal(number)

    signal.signal(signal.SIGTERM, ended)


def _work(
    path: Path,
    served: ServedProjects,
    secrets: Secrets,
    lease: KeptLease,
    ends: list[Callable[[], None]],
) -> None:
    """Work on the projects in a home that is held, while the lease holds; ends: what ends it."""
    shared, service = served.shared, served.shared.service
    home, secret = Home.of(shared), secrets.webhook_secret
    figures = LoopFigures(CollectorRegistry())
    log = structlog.get_logger("service")
    known = [row.config for row in served.projects]
    taken = take_over(known)
    if taken is not None:
        log.info("moved the records to the database", rows=taken.ledgers, rounds=taken.rounds)
    for config in known if len(known) == 1 else ():
        # Of several, only the project whose records were lost rests, and its status says why.
        with ledger_of(config) as ledger:
            compare_records(config, ledger)
    with durable_of(shared, known) as durable:
        durable.launch()

        def open_(config: Config, report: Report) -> AbstractContextManager[Bridge]:
            def say(line: str) -> None:
                log.info("learning", project=config.project_id, progress=line)

            return open_bridge(
                config,
                secrets,
                durable,
                report=report,
                learning=fit_lines(say),
                figures=figures.of(config.project_id),
                fence=lease.fence,
            )

        loops = ProjectLoops(
            follow_configuration(path, served),
            open_,
            asked=round_is_asked_for,
            status=status_of,
            standing=state_of,
            poll_seconds=service.poll_seconds,
            figures=figures,
        )
        configs = follow_configuration(path, served)
        token = home.service_token()
        web = make_app(
            loops.loops,
            registry=figures.registry,
            secret=secret.get_secret_value() if secret else home.webhook_secret(),
            token=token,
        )
        add_run_routes(
            web, lambda: [Home.of(config).runs for config in configs().values()], token=token
        )
        loops.settle()
        threading.Thread(target=loops.run, name="projects", daemon=True).start()
        with served_page(web, shared, secrets, configs, loops.loops) as page:
            log.info(
                "serving",
                host=service.host,
                port=service.port,
                projects=sorted(configs()),
                page=page,
            )
            listening = server(web, Bounds(), host=service.host, port=service.port)
            ends.append(lambda: setattr(listening, "should_exit", True))
            with suppress(KeyboardInterrupt):
                listening.run()
        loops.stop()


@contextmanager
def served_page(
    web: FastAPI,
    shared: Config,
    secrets: Secrets,
    configs: Callable[[], Mapping[int, Config]],
    loops: Callable[[], Mapping[int, Loop]],
) -> Iterator[str]:
    """Put the page beside the service's routes; give its address, "" where it is switched off."""
    if not shared.page.enabled:
        yield ""
        return
    with opened_page(shared, secrets, configs, loops) as page:
        add_page(web, page)
        yield page_address(shared)


def status_of(config: Config) -> dict[str, Any]:
    """Return which round a project is in, what it waits for, which model serves, and why."""
    home = Home.of(config)
    with ledger_of(config) as ledger:
        serving = now_serving(config, home, ledger, registry_of(config, home))
        return describe(ledger, config.project_id, serving)


def state_of(config: Config) -> ProjectState:
    """Return what the service's figures tell of a project's records."""
    with ledger_of(config) as ledger:
        return project_state(ledger, config.project_id)


def follow_configuration(path: Path, served: ServedProjects) -> Callable[[], Mapping[int, Config]]:
    """Return what answers the active projects of today; files are read again when they change."""
    files = (path, projects_file(served.shared.home))
    known: list[Any] = [_dates(files), served.active()]

    def active() -> Mapping[int, Config]:
        dates = _dates(files)
        if dates != known[0]:
            known[1] = load_served(path).active()
            known[0] = dates
        found: Mapping[int, Config] = known[1]
        return found

    return active


def _dates(files: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    found = []
    for file in files:
        try:
            about = file.stat()
        except FileNotFoundError:
            found.append((0, 0))
        else:
            found.append((about.st_mtime_ns, about.st_size))
    return tuple(found)
