"""What the frames drawn at random say of the whole pool: how much the model leaves to people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from active_learning.control import mean_of_pool
from cvat_bridge.ledger import Ledger
from cvat_bridge.savings.controls import sent_as_controls


@dataclass(frozen=True)
class PoolEstimate:
    """Changes a frame of the pool needs, by its random sample.

    mean: objects that people drew, moved, relabelled or deleted on a frame. error: its standard
    error, None with one frame. frames: how many of the random frames are finished.
    """

    mean: float
    error: float | None
    frames: int

    def __str__(self) -> str:
        spread = "" if self.error is None else f" ± {self.error:.1f}"
        frames = "1 finished frame" if self.frames == 1 else f"{self.frames} finished frames"
        return (
            f"people change {self.mean:.1f}{spread} objects a frame of the whole pool, "
            f"estimated from {frames} drawn at random"
        )


def estimate_pool(ledger: Ledger, number: int) -> PoolEstimate | None:
    """Estimate over the pool of round `number`; None while no random frame of it is finished.

    A frame counts once its job was pre-annotated and is finished and read. Raises LedgerError.
    """
    sent = ledger.preannotated()
    filled = {row.job_id for row in sent.values() if row.round == number} - sent_as_controls(sent)
    done = filled & ledger.used_jobs().keys()
    changed = Counter(
        (row.job_id, row.frame)
        for row in ledger.corrections(number=number)
        if row.outcome != "kept"
    )
    place = {
        (job.task_id, frame): (job.job_id, frame)
        for job in ledger.ranked_jobs(number)
        if job.job_id in done
        for frame in job.frames
    }
    rows = [
        (row.weight, changed[place[row.task_id, row.frame]])
        for row in ledger.provenance(number)
        if row.weight is not None and (row.task_id, row.frame) in place
    ]
    if not rows:
        return None
    weights, values = np.array(rows, float).T
    mean, error = mean_of_pool(weights, values)
    return PoolEstimate(mean, None if np.isnan(error) else error, len(rows))
