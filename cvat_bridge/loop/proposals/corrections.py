"""What people did to the pre-annotations of finished jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.frames.job_cache import JobCache
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Correction
from cvat_bridge.loop.proposals.comparing import compare
from cvat_bridge.project.facts import Facts
from cvat_bridge.pull.labelled_frames import media_of_job
from cvat_bridge.savings.outcomes import CorrectionCounts
from cvat_bridge.settings import RoundSettings


@dataclass(frozen=True)
class CorrectionSummary:
    """jobs: those with a record. by_label: of the label proposed (for added ones, drawn)."""

    jobs: tuple[int, ...]
    total: CorrectionCounts
    by_label: Mapping[str, CorrectionCounts]
    by_model: Mapping[str, CorrectionCounts]


def collect_corrections(
    gateway: Gateway, ledger: Ledger, facts: Facts, *, home: Home, settings: RoundSettings
) -> CorrectionSummary:
    """Compare the proposals of every finished job with its final objects and record it.

    Of a job that several rounds pre-annotated, the last round's proposals count. Returns the
    counts over everything recorded so far. Raises GatewayError, LedgerError.
    """
    cache, done = JobCache(home.annotations), ledger.preannotated()
    for job in facts.jobs:
        row = done.get(job.job_id)
        if row is None or row.problem or not job.frames:
            continue
        rows = compare(
            ledger.proposals(job_id=job.job_id, number=row.round),
            cache.read(gateway, job.job_id, job.updated_date),
            labels=facts.labels,
            media=media_of_job(facts.media[job.task_id], job.frames),
            frames=job.frames,
            number=row.round,
            job_id=job.job_id,
            model=row.model,
            nudge_iou=settings.nudge_iou,
        )
        ledger.set_corrections(job.job_id, rows)
    return count_corrections(ledger)


def count_corrections(ledger: Ledger, *, number: int | None = None) -> CorrectionSummary:
    """Count the corrections recorded (for the jobs that round `number` pre-annotated)."""
    rows = ledger.corrections(number=number)
    return CorrectionSummary(
        tuple(sorted({row.job_id for row in rows})),
        _count(rows),
        _grouped(rows, lambda row: row.proposed_label or row.final_label),
        _grouped(rows, lambda row: row.model),
    )


def _grouped(
    rows: Iterable[Correction], name: Callable[[Correction], str]
) -> dict[str, CorrectionCounts]:
    groups: dict[str, list[Correction]] = defaultdict(list)
    for row in rows:
        groups[name(row)].append(row)
    return {key: _count(groups[key]) for key in sorted(groups)}


def _count(rows: Iterable[Correction]) -> CorrectionCounts:
    counts = Counter(row.outcome for row in rows)
    return CorrectionCounts(
        proposed=counts.total() - counts["added"],
        kept=counts["kept"],
        nudged=counts["nudged"],
        relabelled=counts["relabelled"],
        redrawn=counts["redrawn"],
        deleted=counts["deleted"],
        added=counts["added"],
    )
