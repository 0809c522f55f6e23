"""Our own records: what was used, proposed, copied, decided and held out.

SQLite, one file in home, or a schema of a PostgreSQL server. Every write can be repeated: rows are
keyed by what they are about, so a step that was killed half-way ends in the same rows when it runs
again. CVAT holds the annotations; this holds what CVAT cannot tell (a deleted pre-annotation leaves
no trace there).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, union, update
from typing_extensions import Self

from cvat_bridge.database import project_tables
from cvat_bridge.database.engine import Database, Fence
from cvat_bridge.database.place import Place
from cvat_bridge.ledger.people import PeopleRecords
from cvat_bridge.ledger.records import (
    AnnotatedFrame,
    Correction,
    Decision,
    FrameFacts,
    JobLook,
    Judgement,
    KnownLabel,
    Membership,
    PoolRecord,
    PreAnnotatedJob,
    Proposal,
    Provenance,
    RankedJob,
    Request,
    Round,
    SelectedFrame,
    UsedJob,
    frame_key,
)
from cvat_bridge.ledger.tables import Records, insert_for, upsert, values_of

_PIECE = 500  # values in one query: below SQLite's limit of variables
_BLOCK = 20_000  # rows read at a time of a table that may have millions


class Ledger:
    """The records of one project's loop. Safe to use from several threads and processes.

    place: a file, or what database.place says. patience: seconds to wait for another writer. away:
    seconds to wait for a server that does not answer. fence: see Database.
    Raises LedgerError when the records cannot be read, are of a later version of this program, or
    stay locked for longer than `patience`; DatabaseAwayError when a server does not answer.
    """

    def __init__(
        self,
        place: Place | Path | str,
        *,
        patience: float = 30.0,
        away: float = 0.0,
        fence: Fence | None = None,
    ) -> None:
        if not isinstance(place, Place):
            place = Place("project", file=Path(place))
        self.place = place
        self._database = database = Database(place, patience=patience, away=away, fence=fence)
        self._frames = Records(database, project_tables.frames, FrameFacts)
        self._used = Records(database, project_tables.jobs_used, UsedJob)
        self._looks = Records(database, project_tables.job_looks, JobLook)
        self._labels = Records(database, project_tables.labels, KnownLabel)
        self._selections = Records(database, project_tables.selections, SelectedFrame, by="round")
        self._ranked = Records(
            database, project_tables.ranked_jobs, RankedJob, by="round", lists=["frames", "scores"]
        )
        self._provenance = Records(database, project_tables.provenance, Provenance)
        self._proposals = Records(database, project_tables.proposals, Proposal, lists=["points"])
        self._preannotated = Records(database, project_tables.preannotated, PreAnnotatedJob)
        self._annotated = Records(
            database, project_tables.annotated, AnnotatedFrame, lists=["pending"]
        )
        self._corrections = Records(database, project_tables.corrections, Correction)
        self._rounds = Records(database, project_tables.rounds, Round, lists=["reasons"])
        self._decisions = Records(database, project_tables.decisions, Decision, lists=["reasons"])
        self._holdout = Records(database, project_tables.holdout, Membership)
        self._judgements = Records(database, project_tables.judgements, Judgement)
        self._pools = Records(database, project_tables.pools, PoolRecord)
        self._requests = Records(database, project_tables.requests, Request)
        self.people = PeopleRecords(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; the ledger is of no use afterwards."""
        self._database.close()

    @property
    def identity(self) -> str:
        """Eight hex digits that tell this ledger's rounds from those of any other."""
        ((identity,),) = self._database.read(select(project_tables.identity.c.id))
        return str(identity)

    def take_identity(self, identity: str) -> None:
        """Go on as the ledger of this identity, whose rounds' tasks are in CVAT."""
        self._database.write(
            lambda db: db.execute(update(project_tables.identity).values(id=identity))
        )

    # -- frames, jobs, labels ------------------------------------------------------------------

    def add_frames(self, rows: Iterable[FrameFacts]) -> None:
        """Record what the content of frames is (or why it cannot be read)."""
        self._frames.put(rows)

    def frames(self) -> dict[str, FrameFacts]:
        """Return every frame known by content, by its key."""
        blocks = self._frames.blocks("key", size=_BLOCK)
        return {row.key: row for block in blocks for row in block}

    def frames_of(self, keys: Iterable[str]) -> dict[str, FrameFacts]:
        """Return those of these frames that are known by content, by key."""
        unique, found = list(dict.fromkeys(keys)), {}
        for start in range(0, len(unique), _PIECE):
            for row in self._frames.among("key", unique[start : start + _PIECE]):
                found[row.key] = row
        return found

    def use_jobs(self, rows: Iterable[UsedJob]) -> None:
        """Record that these jobs, at these dates, stand in a snapshot."""
        self._used.put(rows)

    def used_jobs(self) -> dict[int, UsedJob]:
        """Return the jobs that training has used, by id."""
        return {row.job_id: row for row in self._used.rows(order=["job_id"])}

    def add_looks(self, rows: Iterable[JobLook]) -> None:
        """Remember whether people have objects in a job, so that it need not be read again."""
        self._looks.put(rows)

    def looks(self) -> dict[int, JobLook]:
        """Return what was last seen of the jobs that nobody has finished, by id."""
        return {row.job_id: row for row in self._looks.rows(order=["job_id"])}

    def set_labels(self, labels: Iterable[KnownLabel]) -> None:
        """Record what the project's labels are now; those that are gone are forgotten."""
        rows = [values_of(row) for row in labels]

        def work(db: Connection) -> None:
            db.execute(delete(project_tables.labels))
            if rows:
                db.execute(insert(project_tables.labels), rows)

        self._database.write(work)

    def labels(self) -> tuple[KnownLabel, ...]:
        """Return what the project's labels were at the last pull; empty before the first."""
        return self._labels.rows(order=["label_id"])

    # -- choices, ranked jobs, where copies came from --------------------------------------------

    def set_selection(
        self, number: int, rows: Sequence[SelectedFrame], *, about: Mapping[str, Any]
    ) -> None:
        """Replace the frames that a round chose, in rank order, and how it chose (JSON)."""

        def work(db: Connection) -> None:
            upsert(db, project_tables.choices, [{"round": number, "about": dict(about)}])
            self._selections.put_in(db, rows, round=number)

        self._database.write(work)

    def selection(self, number: int) -> tuple[SelectedFrame, ...]:
        """Return the frames that a round chose, best first; empty when it chose none."""
        return self._selections.rows(order=["rank"], round=number)

    def choice(self, number: int) -> Mapping[str, Any]:
        """Return how a round chose; empty when it has not."""
        choices = project_tables.choices
        found = self._database.read(select(choices.c.about).where(choices.c.round == number))
        return dict(found[0].about) if found else {}

    def frames_by_strategy(self) -> frozenset[str]:
        """Return the keys of all frames (and copies) that a strategy, not chance, brought in."""
        parts = (
            select(one.c.task_id, one.c.frame).where(one.c.arm == "strategy")
            for one in (project_tables.selections, project_tables.provenance)
        )
        rows = self._database.read(union(*parts))
        return frozenset(frame_key(task, frame) for task, frame in rows)

    def set_ranked_jobs(self, number: int, jobs: Sequence[RankedJob]) -> None:
        """Replace the jobs of a round."""
        self._ranked.put(jobs, round=number)

    def ranked_jobs(self, number: int) -> tuple[RankedJob, ...]:
        """Return the jobs of a round, best first; empty while it has none."""
        return self._ranked.rows(order=["rank"], round=number)

    def add_provenance(self, rows: Iterable[Provenance]) -> None:
        """Record where the frames of a round's task came from."""
        self._provenance.put(rows)

    def provenance(self, number: int | None = None) -> tuple[Provenance, ...]:
        """Return the source of every copy (of one round), by task and frame."""
        return self._provenance.rows(order=["task_id", "frame"], round=number)

    # -- proposals and corrections -------------------------------------------------------------

    def set_proposals(self, number: int, job_id: int, rows: Iterable[Proposal]) -> None:
        """Replace the pre-annotations of a round in a job."""
        self._proposals.put(rows, round=number, job_id=job_id)

    def proposals(
        self, *, job_id: int | None = None, number: int | None = None
    ) -> tuple[Proposal, ...]:
        """Return the pre-annotations (of a job, of a round), by job, frame and place."""
        return self._proposals.rows(order=["job_id", "frame", "place"], job_id=job_id, round=number)

    def save_preannotated(self, row: PreAnnotatedJob) -> None:
        """Record that a round is done with a job."""
        self._preannotated.put([row])

    def preannotated(self) -> dict[int, PreAnnotatedJob]:
        """Return the jobs that pre-annotation is done with, by id, each with its last round."""
        return {row.job_id: row for row in self._preannotated.rows(order=["job_id"])}

    def save_annotated(self, rows: Iterable[AnnotatedFrame]) -> None:
        """Record what `annotate` did, or is about to do, with frames of jobs."""
        self._annotated.put(rows)

    def annotated(self, job_id: int, model: str) -> dict[int, AnnotatedFrame]:
        """Return what `annotate` did with a job's frames for a model, by frame."""
        rows = self._annotated.rows(order=["frame"], job_id=job_id)
        return {row.frame: row for row in rows if row.model == model}

    def set_corrections(self, job_id: int, rows: Sequence[Correction]) -> None:
        """Replace what people did to the pre-annotations of a job."""
        self._corrections.put(rows, job_id=job_id)

    def corrections(
        self, *, job_id: int | None = None, number: int | None = None
    ) -> tuple[Correction, ...]:
        """Return what people did to pre-annotations (in a job, in a round's jobs)."""
        return self._corrections.rows(
            order=["job_id", "frame", "place"], job_id=job_id, round=number
        )

    def outcomes(self) -> dict[int, dict[str, int]]:
        """Count what people did to pre-annotations: by round, then by outcome."""
        counts: dict[int, dict[str, int]] = {}
        rows = project_tables.corrections.c
        query = select(rows.round, rows.outcome, func.count()).group_by(rows.round, rows.outcome)
        for number, outcome, count in self._database.read(query):
            counts.setdefault(int(number), {})[str(outcome)] = int(count)
        return counts

    # -- rounds, decisions, holdout --------------------------------------------------------------

    def save_round(self, row: Round) -> None:
        """Record where a round stands; a repeated call replaces the row."""
        self._rounds.put([row])

    def rounds(self, project_id: int | None = None) -> tuple[Round, ...]:
        """Return the rounds, oldest first."""
        return self._rounds.rows(order=["number"], project_id=project_id)

    def save_decision(self, row: Decision) -> None:
        """Record which model serves after a round and why."""
        self._decisions.put([row])

    def decisions(self) -> tuple[Decision, ...]:
        """Return every decision, oldest first."""
        return self._decisions.rows(order=["round"])

    def add_memberships(self, rows: Iterable[Membership]) -> None:
        """Freeze on which side images stand. What is holdout stays holdout.

        A training image may become holdout (a ground-truth job was made of it); the other way
        round the row is left as it is.
        """
        given = [values_of(row) for row in rows]

        def work(db: Connection) -> None:
            if not given:
                return
            query, held = insert_for(db, project_tables.holdout), project_tables.holdout.c
            new = query.excluded
            query = query.on_conflict_do_update(
                index_elements=["sha256"],
                set_={"role": new.role, "group": new.group, "rule": new.rule},
                where=(held.role == "train") & (new.role == "holdout"),
            )
            db.execute(query, given)

        self._database.write(work)

    def memberships(self) -> dict[str, Membership]:
        """Return the side of every image ever pulled, by sha256."""
        return {row.sha256: row for row in self._holdout.rows(order=["sha256"])}

    # -- what models got right and wrong, and the tasks that people asked for ---------------------

    def save_judgement(self, row: Judgement) -> None:
        """Record the matches of a model on a source, in the place of earlier ones."""
        self._judgements.put([row])

    def judgements(self) -> tuple[Judgement, ...]:
        """Return what is recorded of every model and source, the newest first."""
        return self._judgements.newest("recorded", order=["model", "source"])

    def save_pool(self, row: PoolRecord, *, most: int = 3) -> None:
        """Record what a model saw in the pool, in the place of what it saw before.

        most: models whose newest look is kept; those who read the pool longest ago are forgotten.
        """
        pools = project_tables.pools
        kept = select(pools.c.model).order_by(pools.c.recorded.desc()).limit(most)
        stale = (pools.c.model != row.model) & pools.c.model.not_in(kept)

        def work(db: Connection) -> None:
            self._pools.put_in(db, [row])
            db.execute(delete(pools).where(stale))

        self._database.write(work)

    def pools(self) -> tuple[PoolRecord, ...]:
        """Return what each model saw in the pool when it read it last."""
        return self._pools.rows(order=["model"])

    def pool(self, model: str) -> PoolRecord | None:
        """Return what a model saw in the pool; None when it has not read it."""
        return next((row for row in self.pools() if row.model == model), None)

    def open_request(self, row: Request) -> Request:
        """Record a wish for a task, or give the one of the same key that stands already.

        row.number is not read: it gets the next one.
        """

        def work(db: Connection) -> None:
            last = db.execute(select(func.coalesce(func.max(project_tables.requests.c.number), 0)))
            query = insert_for(db, project_tables.requests).on_conflict_do_nothing(
                index_elements=["key"]
            )
            db.execute(query, {**values_of(row), "number": last.scalar_one() + 1})

        self._database.write(work)
        found = self.request(row.key)
        assert found is not None  # noqa: S101 written above
        return found

    def save_request(self, row: Request) -> None:
        """Record what became of a wish."""
        self._requests.put([row])

    def request(self, key: str) -> Request | None:
        """Return the wish of a key; None when there is none."""
        return next((row for row in self.requests() if row.key == key), None)

    def requests(self) -> tuple[Request, ...]:
        """Return every task that people asked for, oldest first."""
        return self._requests.rows(order=["number"])
