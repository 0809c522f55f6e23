"""The configuration becomes a running bridge: the one place that builds and joins the parts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from active_learning.errors import ActiveLearningError
from active_learning.strategies import strategy
from cvat_bridge.config import Config, Secrets
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.cvat.reach import check_reachable
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.rounds import NextStep, next_step, waiting_frames
from cvat_bridge.loop.status import describe
from cvat_bridge.loop.steps import steps_of
from cvat_bridge.loop.workflow import Durable, Ended, Rounds
from cvat_bridge.models.serving import follow_labels, now_serving
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.reading import ProjectReader
from cvat_bridge.service.figures import Backlog, LoopFigures, ProjectFigures
from cvat_bridge.service.service import Outcome
from cvat_bridge.settings import RoundSettings
from trainer.embedding import embedder
from trainer.registry.registry import Registry

log = structlog.get_logger("service")


@dataclass(frozen=True)
class View:
    """What looks and writes nothing to CVAT; works beside a running service.

    seen: told what each look at the project found.
    """

    config: Config
    parts: Parts
    seen: Callable[[Backlog], None] = lambda _found: None

    def next(self) -> NextStep:
        """Say what the loop would do now, and why."""
        parts = self.parts
        facts = parts.gather()
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
        return next_step(
            facts, last, waiting=len(waiting), retrain_after=self.config.rounds.retrain_after
        )

    def status(self) -> dict[str, Any]:
        """Say which round it is, what it waits for, which model serves, and why."""
        parts = self.parts
        serving = now_serving(self.config, parts.home, parts.ledger, parts.registry)
        return describe(parts.ledger, self.config.project_id, serving)


@dataclass(frozen=True, kw_only=True)
class Bridge(View):
    """Everything joined. One a process, since rounds are durable process-wide."""

    rounds: Rounds

    def look(self) -> Outcome:
        """Look at the facts and run a round when one is due: the service's tick."""
        unfinished = self.rounds.unfinished()
        if unfinished is not None:
            self.rounds.run(unfinished)
            return Outcome(acted=True, reason=f"round {unfinished} went on to its end")
        parts = self.parts
        for told in follow_labels(parts.gateway, self.config, parts.home, parts.registry):
            log.info("labels changed in CVAT", what=told)
        step = self.next()
        # Taken only now, so that a look that could not read CVAT forgets nothing.
        if not self.parts.home.take_request() and step.kind == "wait":
            return Outcome(acted=False, reason=step.reason)
        self.rounds.run(step.number)
        return Outcome(acted=True, reason=f"round {step.number} is done")

    def run_round(self) -> Ended:
        """Run the next round now, whether or not it is due."""
        unfinished = self.rounds.unfinished()
        return self.rounds.run(self.next().number if unfinished is None else unfinished)


@contextmanager
def viewed(config: Config, secrets: Secrets, *, report: Report = quiet) -> Iterator[View]:
    """Join what only looks; the home may be held by another process.

    Raises ConfigError, and GatewayError: within seconds where nothing listens at CVAT's address,
    since a person waits for the answer.
    """
    check_reachable(config.cvat.url)
    with _joined(config, secrets, report) as parts:
        yield View(config, parts)


@contextmanager
def assembled(
    config: Config, secrets: Secrets, *, report: Report = quiet, by: str = "command"
) -> Iterator[Bridge]:
    """Join the parts and take them apart again; holds the home for this process.

    by: see Home.held. Raises ConfigError, GatewayError, and HomeHeldError when another process
    holds the home.
    """
    home = Home.of(config)
    with home.held(by):
        durable = durable_of(config, [config])
        with opened(config, secrets, durable, report=report) as bridge, durable:
            yield bridge


def durable_of(config: Config, known: Iterable[Config]) -> Durable:
    """Return what keeps the rounds of these projects; see Durable for when it is to be launched."""
    database_url = config.database_url or Home.of(config).rounds_url
    return Durable(
        database_url,
        (None if one.library is None else one.project_id for one in known),
    )


@contextmanager
def opened(
    config: Config,
    secrets: Secrets,
    durable: Durable,
    *,
    report: Report = quiet,
    figures: ProjectFigures | None = None,
) -> Iterator[Bridge]:
    """Join the parts of one project whose home, or service, is held already.

    figures: told of steps and of what looks find. Raises ConfigError, GatewayError, LedgerError.
    """
    told = figures or LoopFigures(CollectorRegistry()).of(config.project_id)
    with _joined(config, secrets, report) as parts:
        rounds = Rounds(
            steps_of(parts),
            parts.ledger,
            project_id=config.project_id,
            durable=durable,
            shared=config.library is not None,
            stepped=told.step,
        )
        yield Bridge(config, parts, told.backlog, rounds=rounds)


@contextmanager
def _joined(config: Config, secrets: Secrets, report: Report) -> Iterator[Parts]:
    home = Home.of(config)
    settings = round_settings(config)
    with connected(config, secrets) as gateway, Ledger(home.ledger) as ledger:
        yield Parts(
            config=config,
            settings=settings,
            gateway=gateway,
            ledger=ledger,
            reader=ProjectReader(gateway, ledger, config.project_id, folder=home.media),
            home=home,
            registry=Registry(config.mlflow_url, home.library),
            report=report,
            embedder=functools.cache(lambda: embedder(home.features)),
        )


def round_settings(config: Config) -> RoundSettings:
    """Give the steps their settings; ConfigError with every fault."""
    chosen, rounds, holdout = config.active_learning, config.rounds, config.holdout
    try:
        for name in {chosen.strategy, chosen.cold_start} - {"auto"}:
            strategy(name)
    except ActiveLearningError as error:
        raise ConfigError([f"active_learning: {error}"]) from error
    shown = config.pre_annotation.min_score
    return RoundSettings(
        finished_stage=rounds.finished_stage,
        holdout_share=holdout.share,
        holdout_subsets=holdout.subsets,
        holdout_salt=holdout.salt,
        duplicate_distance=holdout.duplicate_distance,
        budget=chosen.budget,
        seed=chosen.seed,
        selection=chosen,
        mode=rounds.mode,
        job_size=rounds.job_size,
        task_subset=rounds.subset,
        assignees=rounds.assignees,
        mark_source_deleted=rounds.mark_source_deleted,
        write_guide=rounds.guide,
        candidate_score=chosen.candidate_score,
        min_score=None if shown == "auto" else shown,
        min_scores=config.pre_annotation.min_scores,
    )
