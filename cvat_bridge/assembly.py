"""The configuration becomes a running bridge: the one place that builds and joins the parts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from active_learning.choose import SelectionSettings
from active_learning.errors import ActiveLearningError
from active_learning.measures.cost import CostModel
from active_learning.strategies import strategy
from cvat_bridge.config import Config, Secrets
from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.rounds import NextStep, next_step, waiting_frames
from cvat_bridge.loop.status import describe
from cvat_bridge.loop.steps import steps_of
from cvat_bridge.loop.workflow import Ended, Rounds
from cvat_bridge.models.serving import now_serving
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import gather
from cvat_bridge.service.service import Outcome
from cvat_bridge.settings import RoundSettings
from trainer.embedding import embedder
from trainer.registry.registry import Registry


@dataclass(frozen=True)
class Bridge:
    """Everything joined. One a process, since rounds are durable process-wide."""

    config: Config
    parts: Parts
    rounds: Rounds

    def next(self) -> NextStep:
        """Say what the loop would do now, and why; writes nothing to CVAT."""
        parts = self.parts
        facts = gather(parts.gateway, parts.ledger, self.config.project_id, parts.settings)
        past = parts.ledger.rounds(self.config.project_id)
        last = max(past, key=lambda row: row.number, default=None)
        selection = parts.ledger.selection(last.number) if last else ()
        waiting = waiting_frames(facts, parts.ledger.provenance(), selection)
        return next_step(
            facts, last, waiting=len(waiting), retrain_after=self.config.rounds.retrain_after
        )

    def look(self) -> Outcome:
        """Look at the facts and run a round when one is due: the service's tick."""
        unfinished = self.rounds.unfinished()
        if unfinished is not None:
            self.rounds.run(unfinished)
            return Outcome(acted=True, reason=f"round {unfinished} went on to its end")
        step = self.next()
        if step.kind == "wait":
            return Outcome(acted=False, reason=step.reason)
        self.rounds.run(step.number)
        return Outcome(acted=True, reason=f"round {step.number} is done")

    def status(self) -> dict[str, Any]:
        """Say which round it is, what it waits for, which model serves, and why."""
        parts = self.parts
        serving = now_serving(self.config, parts.home, parts.ledger, parts.registry)
        return describe(parts.ledger, self.config.project_id, serving)

    def run_round(self) -> Ended:
        """Run the next round now, whether or not it is due."""
        unfinished = self.rounds.unfinished()
        return self.rounds.run(self.next().number if unfinished is None else unfinished)


@contextmanager
def assembled(config: Config, secrets: Secrets, *, report: Report = quiet) -> Iterator[Bridge]:
    """Join the parts and take them apart again; holds the home for this process.

    Raises ConfigError, GatewayError, and BridgeError when another process holds the home.
    """
    home = Home(config.home)
    settings = round_settings(config)
    with (
        home.held(),
        connected(config, secrets) as gateway,
        Ledger(home.ledger) as ledger,
    ):
        parts = Parts(
            config=config,
            settings=settings,
            gateway=gateway,
            ledger=ledger,
            home=home,
            registry=Registry(config.mlflow_url, home.root),
            report=report,
            embedder=functools.cache(lambda: embedder(home.features)),
        )
        rounds = Rounds(
            steps_of(parts),
            ledger,
            project_id=config.project_id,
            database_url=config.database_url or home.rounds_url,
        )
        try:
            rounds.launch()
            yield Bridge(config, parts, rounds)
        finally:
            rounds.close()


def connected(config: Config, secrets: Secrets) -> CvatClient:
    """Sign in to CVAT."""
    token, password = secrets.access_token, secrets.password
    return connect(
        config.cvat.url,
        token=token.get_secret_value() if token else None,
        username=None if token else secrets.username,
        password=password.get_secret_value() if password and not token else None,
        organization=config.cvat.organization,
        ca_bundle=config.cvat.ca_bundle,
        cache_dir=Home(config.home).chunks,
        cache_bytes=config.cvat.cache_bytes,
        timeout=config.cvat.timeout,
    )


def round_settings(config: Config) -> RoundSettings:
    """Give the steps their settings; ConfigError with every fault."""
    chosen, rounds, holdout = config.active_learning, config.rounds, config.holdout
    try:
        for name in {chosen.strategy, chosen.cold_start} - {"auto"}:
            strategy(name)
        selection = SelectionSettings(
            strategy=chosen.strategy,
            cold_start=chosen.cold_start,
            min_labelled=chosen.min_labelled,
            control_share=chosen.control_share,
            weak_share=chosen.weak_share,
            warm_up=chosen.warm_up,
            cap_per_group=chosen.cap_per_group,
            class_need=chosen.class_need,
            class_quotas=chosen.class_quotas,
            near_duplicate=chosen.near_duplicate,
            candidates=chosen.candidates,
            believed=chosen.believed,
            k=chosen.k,
            empty_place=chosen.empty_place,
            gain_per_second=chosen.gain_per_second,
            cost=CostModel(**chosen.cost.model_dump()),
            stop_gain=chosen.stop_gain,
        )
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
        selection=selection,
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
