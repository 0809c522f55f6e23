"""The configuration becomes a running bridge: the one place that builds and joins the parts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from active_learning.errors import ActiveLearningError
from active_learning.strategies import strategy
from cvat_bridge.config import Config, Secrets
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.cvat.reachability import check_reachable
from cvat_bridge.database.engine import Fence
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.ledger.leading import leading, take_request
from cvat_bridge.ledger.opening import PATIENT, ledger_of
from cvat_bridge.loop.live_status.waiting_people import waiting_people
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.rounds import NextStep, next_step, waiting_frames
from cvat_bridge.loop.status import describe
from cvat_bridge.loop.steps import steps_of
from cvat_bridge.loop.workflow import Durable, FinishedRound, Rounds
from cvat_bridge.models.registries import registry_of
from cvat_bridge.models.serving import follow_labels, now_serving
from cvat_bridge.progress import EventCallback, Report, ignore_event, quiet
from cvat_bridge.project.facts import Facts
from cvat_bridge.project.reading import ProjectReader
from cvat_bridge.queues.names import is_spread
from cvat_bridge.queues.spreading import Spread
from cvat_bridge.recovery.copies.moving import take_over
from cvat_bridge.recovery.durable import check_readable
from cvat_bridge.recovery.late_writes import LateWrites
from cvat_bridge.recovery.startup import StartupChecks, startup_checks
from cvat_bridge.service.figures import Backlog, LoopFigures, ProjectFigures
from cvat_bridge.service.service import TickResult
from cvat_bridge.settings import RoundSettings
from cvat_bridge.store.opening import followed, opened_blobs
from trainer.embedding import embedder
from trainer.errors import TrainerError
from trainer.runs.left_open import close_left_open

log = structlog.get_logger("service")


@dataclass(frozen=True)
class BridgeView:
    """What looks and writes nothing to CVAT; works beside a running service.

    seen: told what each look at the project found.
    """

    config: Config
    parts: Parts
    seen: Callable[[Backlog], None] = lambda _found: None

    def next(self) -> NextStep:
        """Return what the loop would do now, and why."""
        return self.next_by(self.parts.gather())

    def live_status(self) -> dict[str, Any]:
        """Return what CVAT shows now: the pool, what is labelled, whom it waits for, the next step.

        {"pool", "labelled", "held_out", "new", "waiting", "open", "next", "notes"}: counts of
        frames; waiting: ranked frames by person, open: others that people have, both as rows
        {"who", "jobs", "frames"}; next: {"kind", "number", "reason"}. Raises GatewayError.
        """
        facts = self.parts.gather()
        waiting, step = self._standing(facts)
        jobs = self.parts.gateway.jobs(project_id=self.config.project_id)
        held = sum(len(job.frames) for job in facts.jobs if job.held_out)
        return {
            "pool": len(facts.pool),
            "labelled": facts.labelled_frames,
            "held_out": held,
            "new": facts.new_frames,
            "waiting": [asdict(row) for row in waiting_people(waiting, jobs)],
            "open": [asdict(row) for row in waiting_people(facts.in_work - waiting, jobs)],
            "next": asdict(step),
            "notes": list(facts.notes),
        }

    def next_by(self, facts: Facts) -> NextStep:
        """Return what the loop would do by these facts, and why."""
        return self._standing(facts)[1]

    def _standing(self, facts: Facts) -> tuple[frozenset[str], NextStep]:
        """Return the ranked frames that wait for people, and what is due."""
        parts = self.parts
        past = parts.ledger.rounds(self.config.project_id)
        last = max(past, key=lambda row: row.number, default=None)
        selection = parts.ledger.selection(last.number) if last else ()
        waiting = waiting_frames(facts, parts.ledger.provenance(), selection)
        self.seen(
            Backlog(
                pool=len(facts.pool),
                labelled=facts.labelled_frames,
                new=facts.new_frames,
                waiting=len(waiting),
            )
        )
        due = self.config.rounds.retrain_after
        return waiting, next_step(facts, last, waiting=len(waiting), retrain_after=due)

    def status(self) -> dict[str, Any]:
        """Return which round it is, what it waits for, which model serves, and why."""
        parts = self.parts
        serving = now_serving(self.config, parts.home, parts.ledger, parts.registry)
        return describe(parts.ledger, self.config.project_id, serving)


@dataclass(frozen=True, kw_only=True)
class Bridge(BridgeView):
    """Everything joined. One a process, since rounds are durable process-wide."""

    rounds: Rounds
    start: StartupChecks
    late: LateWrites

    def look(self) -> TickResult:
        """Look at the facts and run a round when one is due: the service's tick."""
        self.start.check()
        unfinished = self.rounds.unfinished()
        if unfinished is not None:
            self.rounds.run(unfinished)
            return TickResult(acted=True, reason=f"round {unfinished} went on to its end")
        parts = self.parts
        if parts.blobs is not None:
            followed(self.config, parts.home, parts.blobs)
        for change in follow_labels(parts.gateway, self.config, parts.home, parts.registry):
            log.info("labels changed in CVAT", what=change)
        step = self._next()
        # Taken only now, so that a look that could not read CVAT forgets nothing.
        if not take_request(self.config) and step.kind == "wait":
            return TickResult(acted=False, reason=step.reason)
        self.rounds.run(step.number)
        return TickResult(acted=True, reason=f"round {step.number} is done")

    def run_round(self) -> FinishedRound:
        """Run the next round now, whether or not it is due."""
        self.start.check()
        unfinished = self.rounds.unfinished()
        return self.rounds.run(self._next().number if unfinished is None else unfinished)

    def _next(self) -> NextStep:
        facts = self.parts.gather()
        for change in self.late.mend(facts.tasks):
            log.warning("carried out late by CVAT", what=change)
        return self.next_by(facts)


@contextmanager
def open_view(config: Config, secrets: Secrets, *, report: Report = quiet) -> Iterator[BridgeView]:
    """Join what only looks; the home may be held by another process.

    Raises ConfigError, and GatewayError: within seconds where nothing listens at CVAT's address,
    since a person waits for the answer.
    """
    check_reachable(config.cvat.url)
    with join_parts(config, secrets, report, looks_only=True) as parts:
        yield BridgeView(config, parts)


@contextmanager
def assemble(
    config: Config,
    secrets: Secrets,
    *,
    report: Report = quiet,
    learning: EventCallback = ignore_event,
    by: str = "command",
) -> Iterator[Bridge]:
    """Join the parts and take them apart again; holds the home for this process.

    report hears how far a step is, learning the events of a fit. by: see Home.held. Raises
    ConfigError, GatewayError, HomeHeldError when another process holds the home, HomeError when the
    home cannot be used, RecordsError when the ledger does not know what other places know,
    ProjectTakenError when another bridge works on the project. While CVAT does not answer, what has
    to be asked of it is asked before the first step.
    """
    home = Home.of(config)
    with home.held(by), leading(config, by=by) as lease:
        take_over([config])
        with (
            durable_of(config, [config]) as durable,
            open_bridge(
                config, secrets, durable, report=report, learning=learning, fence=lease.fence
            ) as bridge,
        ):
            durable.launch()
            yield bridge


def durable_of(config: Config, known: Iterable[Config]) -> Durable:
    """Return what keeps the rounds of these projects; see Durable for when it is to be launched.

    Raises RecordsError when the records of rounds cannot be read.
    """
    database_url = config.database_url or Home.of(config).rounds_url
    check_readable(database_url)
    return Durable(
        database_url,
        (None if one.library is None else one.project_id for one in known),
    )


@contextmanager
def open_bridge(
    config: Config,
    secrets: Secrets,
    durable: Durable,
    *,
    report: Report = quiet,
    learning: EventCallback = ignore_event,
    figures: ProjectFigures | None = None,
    fence: Fence | None = None,
) -> Iterator[Bridge]:
    """Join the parts of one project whose home, or service, is held already.

    report, learning: see assembled. fence: lets the ledger be written while this process leads.
    figures: told of steps and of what looks find. Raises what assembled raises, except for the
    home.
    """
    with (
        join_parts(config, secrets, report, learning, away=PATIENT, fence=fence) as parts,
        start_bridge(parts, durable, figures=figures) as bridge,
    ):
        yield bridge


@contextmanager
def start_bridge(
    parts: Parts, durable: Durable, *, figures: ProjectFigures | None = None
) -> Iterator[Bridge]:
    """Let joined parts work, once it is sure that they may; see assembled."""
    config = parts.config
    counted = figures or LoopFigures(CollectorRegistry()).of(config.project_id)
    _close_killed_fits(parts.home)
    with startup_checks(parts) as start:
        rounds = Rounds(
            start.guarded(steps_of(parts)),
            parts.ledger,
            project_id=config.project_id,
            durable=durable,
            shared=config.library is not None,
            stepped=counted.step,
        )
        late = LateWrites(parts.gateway, parts.ledger)
        yield Bridge(config, parts, counted.backlog, rounds=rounds, start=start, late=late)


def _close_killed_fits(home: Home) -> None:
    """Close what killed fits left open in MLflow; that it cannot be asked stops nothing here."""
    try:
        for run in close_left_open(home.runs):
            log.info("closed in MLflow: its process was killed", run=run)
    except TrainerError as error:
        log.warning("runs of killed fits stay open in MLflow", why=str(error))


@contextmanager
def join_parts(
    config: Config,
    secrets: Secrets,
    report: Report = quiet,
    learning: EventCallback = ignore_event,
    *,
    away: float = 0.0,
    fence: Fence | None = None,
    looks_only: bool = False,
) -> Iterator[Parts]:
    """Join what every step stands on; holds no lock. Raises ConfigError, GatewayError.

    away: seconds for which the ledger waits for a database that went away. fence: see opened.
    looks_only: whether the store of artefacts may be away, since nothing is published.
    """
    home = Home.of(config)
    settings = round_settings(config)
    blobs = opened_blobs(config, home, needed=not looks_only)
    with connected(config, secrets) as gateway, ledger_of(config, away=away, fence=fence) as ledger:
        yield Parts(
            config=config,
            settings=settings,
            gateway=gateway,
            ledger=ledger,
            reader=ProjectReader(gateway, ledger, config.project_id, folder=home.media),
            home=home,
            registry=registry_of(config, home),
            blobs=blobs,
            spread=Spread(config, home, blobs) if blobs and is_spread(config) else None,
            report=report,
            learning=learning,
            embedder=functools.cache(lambda: embedder(home.features)),
        )


def round_settings(config: Config) -> RoundSettings:
    """Return the settings of the steps; ConfigError with every fault."""
    chosen = config.active_learning
    try:
        for name in {chosen.strategy, chosen.cold_start} - {"auto"}:
            strategy(name)
    except ActiveLearningError as error:
        raise ConfigError([f"active_learning: {error}"]) from error
    return RoundSettings.of(config)
