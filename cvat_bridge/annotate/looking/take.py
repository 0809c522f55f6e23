"""What a person takes of a model's answers on a frame: one object, or all above a threshold.

The same laws as for a whole task hold: people's shapes are never touched, what stands there
already is not written again, and taking twice writes once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cvat_bridge.annotate.existing_shapes import ExistingShapes
from cvat_bridge.annotate.inference import FrameInference
from cvat_bridge.annotate.looking.candidates import Candidate, candidates_of
from cvat_bridge.annotate.looking.look import Target
from cvat_bridge.annotate.plan import reason_to_skip
from cvat_bridge.annotate.run import alone
from cvat_bridge.annotate.shapes_to_write import frame_row, shapes_of
from cvat_bridge.annotate.writing import finish_pending_writes, write
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.ledger import Ledger


@dataclass(frozen=True)
class Taken:
    """What was written. stood: objects that stood there already and were not written again."""

    objects: int
    stood: int


def take_one(
    gateway: Gateway, where: Target, seen: FrameInference, key: str, *, locks: Path
) -> Taken:
    """Write one candidate of a frame into its jobs. Raises GatewayError, NothingToDoError.

    locks: see annotate; BridgeError where a run over the whole task is under way.
    """
    written = stood = 0
    with alone(locks, where.plan.task.id):
        for job_id in _open_jobs(gateway, where, seen.frame):
            held = gateway.annotations(job_id)
            standing = ExistingShapes(held.shapes)
            found = _candidate(where, seen, key, standing)
            if found is None:
                raise NothingToDoError("the model does not find this object: look again")
            if found.stands:
                stood += 1
                continue
            gateway.create_annotations(job_id, shapes=list(found.shapes), known=held)
            written += 1
    return Taken(min(written, 1), min(stood, 1) if not written else 0)


def take_all(
    gateway: Gateway,
    ledger: Ledger,
    where: Target,
    seen: FrameInference,
    min_score: float,
    *,
    locks: Path,
) -> Taken:
    """Write every candidate of a frame from a score on, and remember it as a run would.

    Raises what take_one raises.
    """
    least = {key: max(min_score, score) for key, score in where.plan.least.items()}
    plan = replace(where.plan, least=least)
    written = stood = 0
    with alone(locks, plan.task.id):
        for job_id in _open_jobs(gateway, where, seen.frame):
            model = where.model.version
            rows = ledger.annotated(job_id, model)
            held = gateway.annotations(job_id)
            if pending := [row for row in rows.values() if row.pending]:
                finish_pending_writes(gateway, ledger, pending, held)
                rows, held = ledger.annotated(job_id, model), gateway.annotations(job_id)
            row, doubled = frame_row(
                plan, seen, job_id, model, rows.get(seen.frame), ExistingShapes(held.shapes)
            )
            written = max(written, write(gateway, ledger, [row], held))
            stood = max(stood, doubled.total())
    return Taken(written, stood)


def _open_jobs(gateway: Gateway, where: Target, frame: int) -> list[int]:
    """Return the jobs that hold a frame and may be written to now."""
    reasons: Mapping[int, str] = {
        number: reason_to_skip(gateway.job(number), named=False) for number in where.jobs_of(frame)
    }
    found = [number for number, reason in reasons.items() if not reason]
    if not found:
        told = "; ".join(f"job {number}: {why}" for number, why in reasons.items())
        raise NothingToDoError(f"nothing may be written to this frame now ({told or 'no job'})")
    return found


def _candidate(
    where: Target, seen: FrameInference, key: str, standing: ExistingShapes
) -> Candidate | None:
    shapes = shapes_of(where.plan, seen, {}, first_group=standing.next_group)
    found = candidates_of(shapes, where.labels, standing)
    return next((one for one in found if one.key == key), None)
