"""The fair figure of the whole pool, from the frames of a round that were drawn at random."""

from __future__ import annotations

import pytest

from cvat_bridge.ledger.records import (
    Correction,
    PreAnnotatedJob,
    Provenance,
    RankedJob,
    UsedJob,
)
from cvat_bridge.loop.proposals.pool_estimate import estimate_pool

JOB, LATER, TASK = 5, 6, 3


def correction(frame: int, place: int, outcome: str) -> Correction:
    return Correction(1, JOB, frame, place, outcome, "cell", "cell", None, 0.9, "model")


@pytest.fixture
def round_one(ledger):
    """Frames 0 to 3 in a finished job, 4 and 5 in one that is not; every even one at random."""
    ledger.add_provenance(
        Provenance(
            *(TASK, frame, 1, frame, 1, frame + 1, None),
            arm="strategy" if frame % 2 else "control",
            reason="",
            weight=None if frame % 2 else 10.0,
        )
        for frame in range(6)
    )
    jobs = [(JOB, (0, 1, 2, 3)), (LATER, (4, 5))]
    ledger.set_ranked_jobs(
        1, [RankedJob(rank, job, TASK, frames, (), "") for rank, (job, frames) in enumerate(jobs)]
    )
    for job, _ in jobs:
        ledger.save_preannotated(PreAnnotatedJob(job, 1, "model"))
    return ledger


def finish(ledger, rows):
    ledger.use_jobs([UsedJob(JOB, "2026-02-01", "completed", "abc")])
    ledger.set_corrections(JOB, rows)


def test_while_no_random_frame_is_finished_nothing_is_said(round_one):
    assert estimate_pool(round_one, 1) is None


def test_changes_of_finished_random_frames_alone_count(round_one):
    """The strategy's frame 1 is far worse; what was kept is no change."""
    hard = [correction(1, place, "redrawn") for place in range(9)]
    changes = [(0, "kept"), (0, "added"), (2, "nudged"), (2, "deleted"), (2, "relabelled")]
    finish(
        round_one,
        [*hard, *(correction(frame, 20 + n, what) for n, (frame, what) in enumerate(changes))],
    )

    found = estimate_pool(round_one, 1)

    assert found is not None
    assert (found.mean, found.frames) == (2.0, 2)
    assert found.error == pytest.approx((0.9 * 2 / 2) ** 0.5)  # 2 of 20 frames of the pool
    assert str(found) == (
        "people change 2.0 ± 0.9 objects a frame of the whole pool, "
        "estimated from 2 finished frames drawn at random"
    )


def test_a_finished_frame_without_corrections_needed_none(round_one):
    finish(round_one, [])

    found = estimate_pool(round_one, 1)

    assert found is not None
    assert (found.mean, found.error, found.frames) == (0.0, 0.0, 2)
