"""Control jobs: some jobs of a round, chosen at random, go out without pre-annotation. Pure.

What pre-annotation saves cannot be told from jobs that all have it. Permuted blocks: of each
`one_in` jobs in the order in which rounds made them, one is a control, at a place that nobody can
foresee but that is the same whenever it is asked for. The first `one_in` jobs of a project hold
none: people see what pre-annotation is before some of their jobs come without. Whether a job was
one stands in the ledger as the reason why it was left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import PreAnnotatedJob, RankedJob

CONTROL = "control job: sent out without pre-annotation, to measure what pre-annotation saves"


def is_control(identity: str, place: int, one_in: int) -> bool:
    """Return whether the job at a place (0, 1, …) among all jobs of rounds is a control.

    identity: of the ledger, so that two projects draw differently. one_in: 0 for none.
    """
    if one_in < 2 or place < one_in:
        return False
    block, within = divmod(place, one_in)
    drawn = hashlib.sha256(f"control {identity} {one_in} {block}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % one_in == within


def control_jobs(
    ledger: Ledger, jobs: Sequence[RankedJob], *, number: int, one_in: int
) -> frozenset[int]:
    """Return the ids of the control jobs of round `number`; the same whenever it is asked for.

    A job that an earlier round sent out stays what it was. jobs: of the round, in rank order.
    Raises LedgerError.
    """
    if number < 1 or one_in < 2:
        return frozenset()
    before = sum(
        len(ledger.ranked_jobs(row.number)) for row in ledger.rounds() if row.number < number
    )
    known, identity = ledger.preannotated(), ledger.identity
    return frozenset(
        job.job_id
        for place, job in enumerate(sorted(jobs, key=lambda row: row.rank), before)
        if (
            known[job.job_id].problem == CONTROL
            if job.job_id in known
            else is_control(identity, place, one_in)
        )
    )


def sent_as_controls(preannotated: Mapping[int, PreAnnotatedJob]) -> frozenset[int]:
    """Return the ids of all jobs that were sent out as controls."""
    return frozenset(job for job, row in preannotated.items() if row.problem == CONTROL)
