"""Our own records: what was used, proposed, copied, decided and held out. SQLite, one file.

Every write can be repeated: rows are keyed by what they are about, so a step that was killed
half-way ends in the same rows when it runs again. CVAT holds the annotations; this holds what
CVAT cannot tell (a deleted pre-annotation leaves no trace there).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from typing_extensions import Self

from cvat_bridge.records import (
    Correction,
    Decision,
    FrameFacts,
    JobLook,
    KnownLabel,
    Membership,
    PreAnnotatedJob,
    Proposal,
    Provenance,
    RankedJob,
    Round,
    SelectedFrame,
    UsedJob,
    frame_key,
)
from cvat_bridge.schema import LedgerFile


class Ledger:
    """The records of one project's loop. Safe to use from several threads and processes.

    Raises LedgerError when the file cannot be read, is of a later version of this program, or
    stays locked for longer than `patience` seconds.
    """

    def __init__(self, path: Path | str, *, patience: float = 30.0) -> None:
        self._file = LedgerFile(path, patience=patience)
        self.path = self._file.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the ledger is of no use afterwards."""
        self._file.close()

    @property
    def identity(self) -> str:
        """Eight hex digits that tell this ledger's rounds from those of any other."""
        ((identity,),) = self._file.all("identity")
        return str(identity)

    # -- frames ------------------------------------------------------------------------------

    def add_frames(self, rows: Iterable[FrameFacts]) -> None:
        """Record what the content of frames is (or why it cannot be read)."""
        self._file.upsert("frames", 9, (astuple(row) for row in rows))

    def frames(self) -> dict[str, FrameFacts]:
        """Give every frame known by content, by its key."""
        return {row.key: row for row in (FrameFacts(*r) for r in self._file.all("frames"))}

    # -- jobs --------------------------------------------------------------------------------

    def use_jobs(self, rows: Iterable[UsedJob]) -> None:
        """Record that these jobs, at these dates, stand in a snapshot."""
        self._file.upsert("jobs_used", 4, (astuple(row) for row in rows))

    def used_jobs(self) -> dict[int, UsedJob]:
        """Give the jobs that training has used, by id."""
        return {row.job_id: row for row in (UsedJob(*r) for r in self._file.all("jobs_used"))}

    def add_looks(self, rows: Iterable[JobLook]) -> None:
        """Remember whether people have objects in a job, so that it need not be read again."""
        self._file.upsert(
            "job_looks", 3, ((r.job_id, r.updated_date, int(r.touched)) for r in rows)
        )

    def looks(self) -> dict[int, JobLook]:
        """Give what was last seen of the jobs that nobody has finished, by id."""
        return {
            job: JobLook(job, date, bool(seen)) for job, date, seen in self._file.all("job_looks")
        }

    def set_labels(self, labels: Iterable[KnownLabel]) -> None:
        """Replace what the project's labels were at the last pull."""
        with self._file.write() as db:
            db.execute("DELETE FROM labels")
            db.executemany("INSERT INTO labels VALUES (?,?,?)", [astuple(row) for row in labels])

    def labels(self) -> tuple[KnownLabel, ...]:
        """Give what the project's labels were at the last pull; empty before the first."""
        return tuple(
            KnownLabel(*row) for row in self._file.rows("SELECT * FROM labels ORDER BY label_id")
        )

    # -- choices and where copies came from ----------------------------------------------------

    def set_selection(
        self, number: int, rows: Sequence[SelectedFrame], *, about: Mapping[str, Any]
    ) -> None:
        """Replace the frames that a round chose, in rank order, and how it chose (JSON)."""
        with self._file.write() as db:
            db.execute("DELETE FROM selections WHERE round = ?", (number,))
            db.execute("INSERT OR REPLACE INTO choices VALUES (?, ?)", (number, json.dumps(about)))
            db.executemany(
                "INSERT INTO selections VALUES (?,?,?,?,?,?,?,?)",
                [(number, *astuple(row)) for row in rows],
            )

    def selection(self, number: int) -> tuple[SelectedFrame, ...]:
        """Give the frames that a round chose, best first; empty when it chose none."""
        return tuple(
            SelectedFrame(*row[1:])
            for row in self._file.rows(
                "SELECT * FROM selections WHERE round = ? ORDER BY rank", number
            )
        )

    def choice(self, number: int) -> Mapping[str, Any]:
        """Give how a round chose; empty when it has not."""
        found = self._file.rows("SELECT about FROM choices WHERE round = ?", number)
        return dict(json.loads(found[0][0])) if found else {}

    def frames_by_strategy(self) -> frozenset[str]:
        """Give the keys of all frames (and copies) that a strategy, not chance, brought in."""
        rows = self._file.rows(
            "SELECT task_id, frame FROM selections WHERE arm = 'strategy' "
            "UNION SELECT task_id, frame FROM provenance WHERE arm = 'strategy'"
        )
        return frozenset(frame_key(task, frame) for task, frame in rows)

    def set_ranked_jobs(self, number: int, jobs: Sequence[RankedJob]) -> None:
        """Replace the jobs of a round."""
        with self._file.write() as db:
            db.execute("DELETE FROM ranked_jobs WHERE round = ?", (number,))
            db.executemany(
                "INSERT INTO ranked_jobs VALUES (?,?,?,?,?,?,?)",
                [
                    (
                        number,
                        job.rank,
                        job.job_id,
                        job.task_id,
                        json.dumps(job.frames),
                        json.dumps(job.scores),
                        job.reason,
                    )
                    for job in jobs
                ],
            )

    def ranked_jobs(self, number: int) -> tuple[RankedJob, ...]:
        """Give the jobs of a round, best first; empty while it has none."""
        return tuple(
            RankedJob(rank, job, task, tuple(json.loads(frames)), tuple(json.loads(scores)), reason)
            for _, rank, job, task, frames, scores, reason in self._file.rows(
                "SELECT * FROM ranked_jobs WHERE round = ? ORDER BY rank", number
            )
        )

    def add_provenance(self, rows: Iterable[Provenance]) -> None:
        """Record where the frames of a round's task came from."""
        self._file.upsert("provenance", 10, (astuple(row) for row in rows))

    def provenance(self, number: int | None = None) -> tuple[Provenance, ...]:
        """Give the source of every copy (of one round), by task and frame."""
        where, values = ("", ()) if number is None else (" WHERE round = ?", (number,))
        query = f"SELECT * FROM provenance{where} ORDER BY task_id, frame"  # noqa: S608
        return tuple(Provenance(*row) for row in self._file.rows(query, *values))

    # -- proposals and corrections -------------------------------------------------------------

    def set_proposals(self, number: int, job_id: int, rows: Iterable[Proposal]) -> None:
        """Replace the pre-annotations of a round in a job."""
        with self._file.write() as db:
            db.execute("DELETE FROM proposals WHERE round = ? AND job_id = ?", (number, job_id))
            db.executemany(
                "INSERT INTO proposals VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [_proposal_row(row) for row in rows],
            )

    def save_preannotated(self, row: PreAnnotatedJob) -> None:
        """Record that a round is done with a job."""
        self._file.upsert("preannotated", 4, [astuple(row)])

    def preannotated(self) -> dict[int, PreAnnotatedJob]:
        """Give the jobs that pre-annotation is done with, by id, each with its last round."""
        return {row[0]: PreAnnotatedJob(*row) for row in self._file.all("preannotated")}

    def proposals(
        self, *, job_id: int | None = None, number: int | None = None
    ) -> tuple[Proposal, ...]:
        """Give the pre-annotations (of a job, of a round), by job, frame and place."""
        rows = self._file.rows(
            "SELECT * FROM proposals WHERE (?1 IS NULL OR job_id = ?1) "
            "AND (?2 IS NULL OR round = ?2) ORDER BY job_id, frame, place",
            job_id,
            number,
        )
        return tuple(_proposal(r) for r in rows)

    def set_corrections(self, job_id: int, rows: Sequence[Correction]) -> None:
        """Replace what people did to the pre-annotations of a job."""
        with self._file.write() as db:
            db.execute("DELETE FROM corrections WHERE job_id = ?", (job_id,))
            db.executemany(
                "INSERT INTO corrections VALUES (?,?,?,?,?,?,?,?,?,?)",
                [astuple(row) for row in rows],
            )

    def corrections(
        self, *, job_id: int | None = None, number: int | None = None
    ) -> tuple[Correction, ...]:
        """Give what people did to pre-annotations (in a job, in a round's jobs)."""
        return tuple(
            Correction(*row)
            for row in self._file.rows(
                "SELECT * FROM corrections WHERE (?1 IS NULL OR job_id = ?1) "
                "AND (?2 IS NULL OR round = ?2) ORDER BY job_id, frame, place",
                job_id,
                number,
            )
        )

    # -- rounds and decisions ------------------------------------------------------------------

    def save_round(self, row: Round) -> None:
        """Record where a round stands; a repeated call replaces the row."""
        self._file.upsert(
            "rounds",
            9,
            [
                (
                    row.number,
                    row.project_id,
                    row.state,
                    row.waits_for,
                    row.started,
                    row.ended,
                    row.decision,
                    json.dumps(row.reasons),
                    json.dumps(row.figures),
                )
            ],
        )

    def rounds(self, project_id: int | None = None) -> tuple[Round, ...]:
        """Give the rounds, oldest first."""
        return tuple(
            _round(r)
            for r in self._file.rows(
                "SELECT * FROM rounds WHERE (?1 IS NULL OR project_id = ?1) ORDER BY number",
                project_id,
            )
        )

    def save_decision(self, row: Decision) -> None:
        """Record which model serves after a round and why."""
        values = (row.round, row.champion, row.challenger, int(row.promoted))
        tail = (json.dumps(row.reasons), json.dumps(row.figures), row.decided)
        self._file.upsert("decisions", 7, [values + tail])

    def decisions(self) -> tuple[Decision, ...]:
        """Give every decision, oldest first."""
        return tuple(
            Decision(r[0], r[1], r[2], bool(r[3]), tuple(json.loads(r[4])), json.loads(r[5]), r[6])
            for r in self._file.rows("SELECT * FROM decisions ORDER BY round")
        )

    # -- holdout -------------------------------------------------------------------------------

    def add_memberships(self, rows: Iterable[Membership]) -> None:
        """Freeze on which side images stand. What is holdout stays holdout.

        A training image may become holdout (a ground-truth job was made of it); the other way
        round the row is left as it is.
        """
        with self._file.write() as db:
            db.executemany(
                "INSERT INTO holdout VALUES (?,?,?,?,?) ON CONFLICT (sha256) DO UPDATE SET "
                "role = excluded.role, grp = excluded.grp, rule = excluded.rule "
                "WHERE holdout.role = 'train' AND excluded.role = 'holdout'",
                [astuple(row) for row in rows],
            )

    def memberships(self) -> dict[str, Membership]:
        """Give the side of every image ever pulled, by sha256."""
        return {row.sha256: row for row in (Membership(*r) for r in self._file.all("holdout"))}


def _proposal_row(row: Proposal) -> tuple[Any, ...]:
    values = astuple(row)
    return (*values[:7], json.dumps(row.points), *values[8:])


def _proposal(row: tuple[Any, ...]) -> Proposal:
    number, job, frame, place, label_id, label, kind, points, score, model, shape, source = row
    flat = tuple(json.loads(points))
    return Proposal(
        number, job, frame, place, label_id, label, kind, flat, score, model, shape, source
    )


def _round(row: tuple[Any, ...]) -> Round:
    number, project, state, waits_for, started, ended, decision, reasons, figures = row
    return Round(
        number,
        project,
        state,
        waits_for,
        started,
        ended,
        decision,
        tuple(json.loads(reasons)),
        json.loads(figures),
    )
