"""The eight steps of a round, put together from the parts; each can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from active_learning.pool import ProjectState
from cvat_bridge.config import Config
from cvat_bridge.corrections import collect_corrections
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.facts import Facts, gather
from cvat_bridge.gateway import Gateway, Label
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.preannotate import preannotate
from cvat_bridge.predict import DESCRIPTOR, Predicted, predict
from cvat_bridge.prioritise import prioritise, ranked_jobs
from cvat_bridge.progress import Report, quiet
from cvat_bridge.pull import pull
from cvat_bridge.round.assignment import assign, check_assignees, write_guide
from cvat_bridge.round.choosing import Chosen, choose_frames
from cvat_bridge.round.deciding import settle
from cvat_bridge.round.fitting import FitFailedError, run_fit
from cvat_bridge.round.micro_model import learn_interactor
from cvat_bridge.round.publishing import LABEL_IDS, publish_champion
from cvat_bridge.round.rounds import waiting_frames
from cvat_bridge.round.workflow import Answer, Answers, Step
from cvat_bridge.settings import RoundSettings
from trainer.bundle import read_bundle
from trainer.dataset import load_dataset
from trainer.detector import Detector
from trainer.engines import load
from trainer.registry import Registry

# What the trainer says of data it cannot learn from: the round goes on without a challenger.
NOT_ENOUGH = frozenset({"DatasetError"})


@dataclass(frozen=True)
class RoundSteps:
    """Everything a round stands on; `table` gives its steps in order."""

    config: Config
    settings: RoundSettings
    gateway: Gateway
    ledger: Ledger
    home: Home
    registry: Registry
    report: Report = quiet
    now: Callable[[], str] = lambda: datetime.now(timezone.utc).isoformat(timespec="seconds")

    @property
    def key(self) -> str:
        """The name of this project's models in the registry."""
        return f"project-{self.config.project_id}"

    def table(self) -> tuple[Step, ...]:
        """Give the eight steps."""
        return (
            Step("facts", self.facts),
            Step("pull", self.pull),
            Step("fit", self.fit),
            Step("decide", self.decide),
            Step("predict", self.predict),
            Step("select", self.select),
            Step("prioritise", self.prioritise),
            Step("preannotate", self.preannotate),
        )

    def facts(self, number: int, _: Answers) -> Answer:
        """1. What is the case, and what people did to the last pre-annotations."""
        organization = self.config.cvat.organization
        check_assignees(self.gateway, settings=self.settings, organization=organization)
        facts = self._gather()
        corrected = collect_corrections(
            self.gateway, self.ledger, facts, home=self.home, settings=self.settings
        )
        return self._note(
            number,
            pool=len(facts.pool),
            labelled_frames=facts.labelled_frames,
            new_frames=facts.new_frames,
            holdout_rule=facts.holdout_rule,
            notes=list(facts.notes),
            corrected=asdict(corrected.total),
        )

    def pull(self, number: int, _: Answers) -> Answer:
        """2. Finished jobs become a snapshot."""
        try:
            pulled = pull(
                self.gateway,
                self.ledger,
                self._gather(),
                home=self.home,
                settings=self.settings,
                now=self.now,
                report=self.report,
            )
        except NothingToDoError as nothing:
            return {"dataset": None, "train": 0, "holdout": 0, "reason": str(nothing)}
        return self._note(
            number,
            dataset=str(pulled.dataset.path),
            fingerprint=pulled.dataset.fingerprint,
            train=pulled.train,
            holdout=pulled.holdout,
            fetched=pulled.fetched,
            skipped=[asdict(item) for item in pulled.skipped],
        )

    def fit(self, number: int, answers: Answers) -> Answer:
        """3. A challenger is learnt, where there is enough to learn from."""
        pulled, least = answers["pull"], self.config.trainer.min_frames
        if pulled["train"] < least:
            reason = f"{pulled['train']} frames to train on, {least} are needed"
            return {"bundle": None, "reason": reason}
        champion = self.registry.champion(self.key)
        warm = self.config.trainer.warm_start and champion is not None
        try:
            fitted = run_fit(
                Path(pulled["dataset"]),
                self.config.trainer,
                run_dir=self.home.runs / f"round-{number}-{pulled['fingerprint'][:12]}",
                name=f"{self.key} round {number}",
                base=champion.path if warm and champion else self.config.trainer.base,
                report=self.report,
            )
        except FitFailedError as failure:
            if failure.kind not in NOT_ENOUGH:
                raise
            return {"bundle": None, "reason": failure.message}
        bundle = read_bundle(fitted.bundle)
        labels = {label.name: label.id for label in self._labels()}
        version = self.registry.register(
            self.key,
            bundle,
            params={"round": number, "config": self.config.hash},
            tags={
                "dataset": pulled["fingerprint"],
                LABEL_IDS: json.dumps(labels),
                "strategy": self.settings.selection.strategy,
            },
        )
        return {"bundle": str(version.path), "version": version.bundle, "reason": ""}

    def decide(self, number: int, answers: Answers) -> Answer:
        """4. Champion and challenger on the same frames; the better one serves."""
        champion = self.registry.champion(self.key)
        fitted, pulled = answers["fit"], answers["pull"]
        promoted = False
        reasons: tuple[str, ...] = (fitted["reason"],)
        figures: Mapping[str, Any] = {"champion": None, "challenger": None, "class_ap": None}
        if fitted["bundle"] and not pulled["holdout"]:
            reasons = ("no labelled holdout frame: the challenger cannot be judged",)
        elif fitted["bundle"]:
            decision = settle(
                self.ledger,
                number=number,
                champion=champion,
                challenger=self.registry.show(self.key, fitted["version"]),
                dataset=Path(pulled["dataset"]),
                settings=self.config.promotion,
                seed=self.config.trainer.seed,
                now=self.now,
                report=self.report,
            )
            promoted, reasons, figures = decision.promoted, decision.reasons, decision.figures
            if promoted:
                champion = self.registry.promote(self.key, fitted["version"], reasons=reasons)
        if champion is not None:
            host = self.config.function_host
            publish_champion(
                host.store or self.home.functions,
                function_id=host.function_id,
                name=host.name or f"{self.gateway.project(self.config.project_id).name} champion",
                champion=champion,
                labels=self._labels(),
            )
        return self._note(
            number,
            promoted=promoted,
            reasons=list(reasons),
            serves=champion.bundle if champion else None,
            interactor=self._learn_interactor(number, pulled["dataset"]),
            **figures,
        )

    def _learn_interactor(self, number: int, dataset: str | None) -> Answer | None:
        """Let the extreme-points tool learn from the same snapshot, behind a gate of its own."""
        if dataset is None or not self.config.interactor.learn:
            return None
        learnt = learn_interactor(
            Path(dataset),
            number=number,
            project_key=self.key,
            project_name=self.gateway.project(self.config.project_id).name,
            registry=self.registry,
            home=self.home,
            store=self.config.function_host.store or self.home.functions,
            time_limit=self.config.interactor.time_limit,
            seed=self.config.trainer.seed,
            device=self.config.trainer.device,
            report=self.report,
        )
        return learnt.to_json()

    def predict(self, number: int, answers: Answers) -> Answer:
        """5. The serving model reads the pool; without one, an embedding is all there is."""
        predicted = self._predict(self._gather(), answers)
        return self._note(
            number,
            model=predicted.model,
            predicted=len(predicted.frames),
            cached=predicted.cached,
            broken=predicted.skipped,
        )

    def select(self, number: int, answers: Answers) -> Answer:
        """6. The frames worth a person's time."""
        facts = self._gather()
        waiting = waiting_frames(facts, self.ledger.provenance(), ())
        if len(waiting) >= self.settings.budget and not self.ledger.selection(number):
            reason = f"{len(waiting)} ranked frames still wait for people; none are added"
            return self._note(number, selected=0, reason=reason)
        try:
            chosen = choose_frames(
                self.ledger,
                facts,
                self._predict(facts, answers),
                number=number,
                home=self.home,
                settings=self.settings,
                state=self._state(number, answers),
            )
        except NothingToDoError as nothing:
            return self._note(number, selected=0, reason=str(nothing))
        return self._note(
            number,
            selected=len(chosen.frames),
            strategy=chosen.strategy,
            phase=chosen.phase,
            advice=chosen.advice,
            duplicates=chosen.duplicates,
            reason="",
        )

    def prioritise(self, number: int, answers: Answers) -> Answer:
        """7. They return to CVAT as ranked jobs."""
        if not answers["select"]["selected"]:
            return self._note(number, task_id=None, jobs=[])
        made = prioritise(
            self.gateway,
            self.ledger,
            self._gather(),
            number=number,
            home=self.home,
            settings=self.settings,
            report=self.report,
        )
        jobs = [
            {
                "id": job.job_id,
                "task_id": job.task_id,
                "frames": list(job.frames),
                "scores": list(job.scores),
                "reason": job.reason,
            }
            for job in made.jobs
        ]
        return self._note(number, task_id=made.task_id, storage=made.storage, jobs=jobs)

    def preannotate(self, number: int, answers: Answers) -> Answer:
        """8. The model's objects go in; only then does anybody get the jobs."""
        if not answers["prioritise"]["jobs"]:
            return self._note(number, proposed={}, assigned={})
        jobs = ranked_jobs(self.gateway, self.ledger, number=number)
        proposed: dict[str, int] = {}
        left: dict[int, str] = {}
        model = answers["decide"]["serves"]
        if model and self.config.pre_annotation.enabled:
            version = self.registry.show(self.key, model)
            done = preannotate(
                self.gateway,
                self.ledger,
                self.config.project_id,
                jobs,
                number=number,
                model=model,
                home=self.home,
                settings=self.settings,
                label_ids=json.loads(version.tags.get(LABEL_IDS, "{}")),
                report=self.report,
            )
            proposed, left = done.proposed, done.skipped
        if self.settings.write_guide:
            write_guide(self.gateway, self.config.project_id, jobs, number=number)
        given = assign(self.gateway, jobs, settings=self.settings)
        return self._note(
            number,
            proposed=proposed,
            left_alone={str(job): why for job, why in left.items()},
            assigned={str(job): name for job, name in given.items()},
        )

    def look(self) -> Chosen:
        """Choose as the next round would, with the model that serves, and record nothing."""
        champion = self.registry.champion(self.key)
        past = [row.figures for row in self.ledger.rounds() if row.figures.get("train")]
        last = past[-1] if past else {}
        answers = {
            "decide": {
                "serves": champion.bundle if champion else None,
                "class_ap": last.get("class_ap"),
            },
            "pull": {"dataset": last.get("dataset"), "train": last.get("train", 0)},
        }
        facts = self._gather()
        number = max((row.number for row in self.ledger.rounds()), default=0) + 1
        return choose_frames(
            self.ledger,
            facts,
            self._predict(facts, answers),
            number=number,
            home=self.home,
            settings=self.settings,
            state=self._state(number, answers),
            record=False,
        )

    # -- parts shared by the steps -----------------------------------------------------------

    def _gather(self) -> Facts:
        return gather(self.gateway, self.ledger, self.config.project_id, self.settings)

    def _labels(self) -> tuple[Label, ...]:
        return self.gateway.labels(project_id=self.config.project_id)

    def _predict(self, facts: Facts, answers: Answers) -> Predicted:
        model = answers["decide"]["serves"]
        return predict(
            self.gateway,
            self.ledger,
            facts,
            home=self.home,
            settings=self.settings,
            detector=self._detector(model) if model else None,
            model=model or DESCRIPTOR,
            report=self.report,
        )

    def _detector(self, version: str) -> Detector:
        return load(read_bundle(self.registry.show(self.key, version).path))

    def _state(self, number: int, answers: Answers) -> ProjectState:
        model, pulled = answers["decide"]["serves"], answers["pull"]
        names: tuple[str, ...] = ()
        counts = ap = None
        if model:
            names = tuple(read_bundle(self.registry.show(self.key, model).path).card.labels)
            known = answers["decide"].get("class_ap") or {}
            ap = np.array([np.nan if known.get(n) is None else known[n] for n in names])
        if model and pulled["dataset"]:
            dataset = load_dataset(Path(pulled["dataset"]))
            found = [dataset.labels.name_of(o.class_id) for i in dataset.images for o in i.objects]
            counts = np.array([found.count(name) for name in names], float)
        past = [row.figures for row in self.ledger.rounds() if row.number <= number]
        return ProjectState(
            labelled=pulled["train"],
            trusted=model is not None,
            class_names=names,
            class_counts=counts,
            class_ap=ap,
            curve=tuple(
                (row["train"], row["challenger"]["ap"])
                for row in past
                if row.get("challenger") and row.get("train")
            ),
        )

    def _note(self, number: int, **figures: Any) -> Answer:
        """Add to the round's row what `status` and reports show, and give it as the answer."""
        for row in self.ledger.rounds():
            if row.number == number:
                kept = {**row.figures, **figures}
                self.ledger.save_round(replace(row, figures=kept))
        return figures
