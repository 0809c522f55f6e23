"""The durable round: eight steps, each recorded by DBOS when it is done and repeated when not.

A killed process goes on where it was: finished steps give their recorded answer, the step that
was under way runs again. Every step can be repeated without doubling anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from dbos import DBOS, SetWorkflowID
from dbos import DBOSConfig as DurableConfig
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import Self

from cvat_bridge.database.faults import fault_of
from cvat_bridge.database.place import rounds_place
from cvat_bridge.errors import (
    BridgeError,
    DatabaseAwayError,
    LedgerError,
    NotReadyError,
    UnreachableError,
)
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.rounds import note_state
from cvat_bridge.secrecy import without_secrets
from trainer.blobs.errors import BlobDamagedError, BlobError, BlobMissingError

Answer = dict[str, Any]  # JSON: what a step leaves for the later ones
Answers = Mapping[str, Answer]
Stepped = Callable[[str, float, bool], None]
APPLICATION = "cvat-bridge"

log = structlog.get_logger("round")


@dataclass(frozen=True)
class Step:
    """One of the eight. `run(number, answers of the steps before)` gives this step's answer."""

    name: str
    run: Callable[[int, Answers], Answer]


class StepFailedError(BridgeError):
    """A step ended with an error; plain fields, so that the record of it can be read back."""

    def __init__(self, step: str, kind: str, message: str, transient: bool) -> None:
        self.step, self.kind, self.message, self.transient = step, kind, message, transient
        super().__init__(step, kind, message, transient)

    def __str__(self) -> str:
        return f"{self.step}: {self.message}"


@dataclass(frozen=True)
class FinishedRound:
    """How a round ended."""

    number: int
    answers: Answers


class Durable:
    """DBOS, which keeps its state process-wide: one for the rounds of all projects of a process.

    It works from its launch on. projects: those whose rounds may have been interrupted; they are
    known before the launch, so that it goes on with them. Rounds of a project that is not attached
    (yet) end with an error and are taken up when it is.
    """

    def __init__(self, database_url: str, projects: Iterable[int | None] = ()) -> None:
        self._rounds: dict[str, Rounds] = {}
        self._workflows: dict[str, Callable[[int], Answer]] = {}
        self._launched = self._closed = False
        self._place = rounds_place(database_url)
        DBOS(config=_durable_config(database_url))
        for project in projects:
            self._register(rounds_name(project))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(self) -> None:
        """Start DBOS; rounds that a killed process left behind go on in the background."""
        DBOS.launch()
        self._launched = True

    def close(self) -> None:
        """Stop DBOS, once. A round under way goes on at the next launch."""
        if not self._closed:
            self._closed = True
            DBOS.destroy(destroy_registry=True)

    def fault(self, error: SQLAlchemyError) -> LedgerError:
        """Return what people see for an error of the database in which rounds are recorded."""
        return fault_of(self._place, "working with", error)

    def attach(self, name: str, rounds: Rounds) -> Callable[[int], Answer]:
        """Let the rounds of this name run by these steps; returns the workflow."""
        self._rounds[name] = rounds
        if name not in self._workflows:
            self._register(name)
            if self._launched:
                # The launch could not go on with what it had no code for; now nobody works on it.
                for left in DBOS.list_workflows(name=name, status="PENDING"):
                    DBOS.cancel_workflow(left.workflow_id)
        return self._workflows[name]

    def _register(self, name: str) -> None:
        @DBOS.workflow(name=name)
        def round_(number: int) -> Answer:
            rounds = self._rounds.get(name)
            if rounds is None:
                raise StepFailedError(
                    "start", "NotReadyError", f"{name} waits for its project", True
                )
            return rounds.perform(number)

        self._workflows[name] = round_


class Rounds:
    """Runs the rounds of one project durably.

    durable: what keeps them. shared: whether rounds of other projects are kept there too.
    A step may end with any error; it is recorded with its class and its message. stepped: told of
    each attempt at a step: its name, its seconds, whether it failed.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        ledger: Ledger,
        *,
        project_id: int,
        durable: Durable,
        shared: bool = False,
        patience: int = 5,
        interval: float = 2.0,
        stepped: Stepped = lambda _name, _seconds, _failed: None,
    ) -> None:
        self._steps, self._ledger, self._project_id = tuple(steps), ledger, project_id
        self._patience, self._interval, self._stepped = patience, interval, stepped
        # Rounds that are under way here, and those whose database went away under them.
        self._performed: set[int] = set()
        self._cut_off: set[int] = set()
        self._fault = durable.fault
        self._name = rounds_name(project_id if shared else None)
        self._workflow = durable.attach(self._name, self)

    def run(self, number: int) -> FinishedRound:
        """Run a round to its end, going on with it where it was begun before.

        Raises StepFailedError when a step fails for good; calling again retries from that step.
        Raises LedgerError when the database goes away for longer than the ledger waits for it.
        """
        while True:
            try:
                return self._run(number)
            except SQLAlchemyError as error:
                fault = self._fault(error)
                if not isinstance(fault, DatabaseAwayError):
                    raise fault from error
                log.warning("the round goes on when the database answers", why=str(fault))
                self._cut_off.add(number)
                self._ledger.rounds()

    def _run(self, number: int) -> FinishedRound:
        last = self._last_attempt(number)
        if last is not None and last.status == "PENDING" and number in self._cut_off:
            # Its thread ended when what it had done could not be recorded.
            if number not in self._performed:
                DBOS.cancel_workflow(last.workflow_id)
                last = self._last_attempt(number)
            self._cut_off.discard(number)
        if last is None:
            with SetWorkflowID(f"{self._name}-{number}"):
                handle: Any = DBOS.start_workflow(self._workflow, number)
        elif last.status in ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
            # Recorded answers are kept; the failed step, recorded as an error, runs again.
            done = [s for s in DBOS.list_workflow_steps(last.workflow_id) if s["error"] is None]
            handle = DBOS.fork_workflow(last.workflow_id, len(done) + 1)
        else:
            handle = DBOS.retrieve_workflow(last.workflow_id)
        answers: Answers = handle.get_result()
        return FinishedRound(number, answers)

    def unfinished(self) -> int | None:
        """Return the number of the round that was begun and has no good end, if there is one.

        Raises LedgerError.
        """
        try:
            rounds = DBOS.list_workflows(name=self._name, sort_desc=True, limit=1)
        except SQLAlchemyError as error:
            raise self._fault(error) from error
        if rounds and rounds[0].status != "SUCCESS":
            return _number(rounds[0])
        return None

    def _last_attempt(self, number: int) -> Any | None:
        attempts = DBOS.list_workflows(name=self._name, sort_desc=True)
        return next((a for a in attempts if _number(a) == number), None)

    def perform(self, number: int) -> Answer:
        """Take the steps, within the workflow; `run` starts it."""
        self._performed.add(number)
        try:
            return self._perform(number)
        finally:
            self._performed.discard(number)

    def _perform(self, number: int) -> Answer:
        answers: dict[str, Answer] = {}
        self._note(number, "started")
        for step in self._steps:
            answers[step.name] = DBOS.run_step(
                {
                    "name": step.name,
                    "retries_allowed": True,
                    "max_attempts": self._patience,
                    "interval_seconds": self._interval,
                    "should_retry": _is_transient,
                },
                self._attempt,
                step,
                number,
                dict(answers),
            )
        self._note(number, "done")
        return answers

    def _attempt(self, step: Step, number: int, answers: Answers) -> Answer:
        """Run one step once; the edge where every error becomes a record."""
        began = time.monotonic()
        log.info("step started", round=number, step=step.name)
        self._note(number, step.name)
        try:
            answer = step.run(number, answers)
        except Exception as error:
            log.exception("step failed", round=number, step=step.name)
            self._stepped(step.name, time.monotonic() - began, True)
            # A server's answer stands in it, and some print in theirs what they were sent.
            reason = without_secrets(str(error))
            self._note(number, step.name, waits_for=f"{step.name}: {reason}")
            raise StepFailedError(
                step.name,
                type(error).__name__,
                reason,
                _may_pass(error),
            ) from None
        seconds = round(time.monotonic() - began, 3)
        self._stepped(step.name, seconds, False)
        log.info("step done", round=number, step=step.name, seconds=seconds)
        return {**answer, "seconds": seconds}

    def _note(self, number: int, state: str, waits_for: str = "") -> None:
        note_state(self._ledger, number, self._project_id, state, waits_for=waits_for)


def rounds_name(project_id: int | None) -> str:
    """Return the name of a project's rounds; None for the only one of a home, as ever."""
    return "round" if project_id is None else f"round-of-project-{project_id}"


def _durable_config(database_url: str) -> DurableConfig:
    return {
        "name": APPLICATION,
        "system_database_url": database_url,
        # One fixed version: a round begun before an upgrade of this program goes on after it.
        "application_version": "1",
        "executor_id": "bridge",
        "enable_otlp": False,
        # Errors of steps are logged and recorded by us, once.
        "log_level": "CRITICAL",
    }


def _may_pass(error: Exception) -> bool:
    """Whether it is worth trying a step again in seconds: CVAT or the store did not answer."""
    if isinstance(error, BlobError):
        return not isinstance(error, (BlobMissingError, BlobDamagedError))
    return isinstance(error, (UnreachableError, NotReadyError, DatabaseAwayError))


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, StepFailedError) and error.transient


def _number(attempt: Any) -> int:
    return int(attempt.input["args"][0])
