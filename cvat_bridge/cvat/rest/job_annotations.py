"""Reading and writing the raw annotations of a job, so that a repetition doubles nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from cvat_bridge.cvat.gateway import JobAnnotations, RawShape, Written
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.retries import bounded
from cvat_bridge.cvat.shape_equality import doubled_shapes, missing_shapes, missing_tags, written
from cvat_bridge.errors import GatewayError, UnreachableError

PIECE_OBJECTS = 1000  # about half a second of CVAT's time
log = logging.getLogger(__name__)
PIECE_NUMBERS = 400_000  # masks are long: a few MB of JSON at most


def read(net: Connection, job_id: int) -> JobAnnotations:
    """Read everything on a job."""
    answer = net.get(f"/api/jobs/{job_id}/annotations", f"annotations of job {job_id}")
    return JobAnnotations(
        tags=tuple(answer.get("tags") or ()),
        shapes=tuple(answer.get("shapes") or ()),
        tracks=tuple(answer.get("tracks") or ()),
    )


def create(
    net: Connection,
    job_id: int,
    *,
    shapes: Sequence[RawShape],
    tags: Sequence[RawShape],
    scores: bool,
    known: JobAnnotations | None = None,
) -> Written:
    """Append what the job does not hold yet.

    After a failure that leaves open whether CVAT wrote, the job is read again and only what is
    still missing is sent; what CVAT wrote twice in the end, since it carried out late what was
    given up, is deleted. scores: whether this server keeps them. known: what it holds.
    """
    if not shapes and not tags:
        return Written()
    sent_shapes = [_sendable(shape, scores=scores) for shape in shapes]
    sent_tags = [_sendable(tag, scores=False) for tag in tags]
    with bounded(net.patience) as deadline:
        attempt = 0
        while True:
            held = read(net, job_id) if known is None else known
            known = None  # good for the first try alone
            missing = (
                missing_shapes(sent_shapes, held.shapes),
                missing_tags(sent_tags, held.tags),
            )
            if not any(missing):
                held = _single(net, job_id, sent_shapes, held) if attempt else held
                return _found(job_id, sent_shapes, sent_tags, held)
            try:
                fresh = _append(net, job_id, *missing)
            except UnreachableError as error:
                if not deadline.pause(attempt, why=error.detail):
                    raise
                attempt += 1
                continue
            whole = JobAnnotations(held.tags + fresh.tags, held.shapes + fresh.shapes)
            whole = _single(net, job_id, sent_shapes, read(net, job_id)) if attempt else whole
            return _found(job_id, sent_shapes, sent_tags, whole)


def _single(
    net: Connection, job_id: int, ours: Sequence[RawShape], held: JobAnnotations
) -> JobAnnotations:
    """Delete what was written twice; return what is left."""
    extra = doubled_shapes(ours, held.shapes)
    if extra:
        log.warning("job %d: %d objects were written twice: deleted", job_id, len(extra))
        delete(net, job_id, extra)
    gone = {one["id"] for one in extra}
    return replace(held, shapes=tuple(one for one in held.shapes if one["id"] not in gone))


def delete(net: Connection, job_id: int, objects: Sequence[RawShape]) -> None:
    """Delete shapes and tags by their ids; CVAT does not mind ids that are gone."""
    for piece in _pieces(objects):
        body = {
            "version": 0,
            "shapes": [one for one in piece if "type" in one],
            "tags": [one for one in piece if "type" not in one],
            "tracks": [],
        }
        net.call(
            "PATCH",
            f"/api/jobs/{job_id}/annotations",
            "delete from",
            f"job {job_id}",
            query={"action": "delete"},
            body=body,
        )


def _append(
    net: Connection, job_id: int, shapes: Sequence[RawShape], tags: Sequence[RawShape]
) -> JobAnnotations:
    made_shapes: list[RawShape] = []
    made_tags: list[RawShape] = []
    pieces: list[tuple[Sequence[RawShape], Sequence[RawShape]]] = [
        *((piece, ()) for piece in _pieces(shapes)),
        *(((), piece) for piece in _pieces(tags)),
    ]
    for some_shapes, some_tags in pieces:
        answer = net.call(
            "PATCH",
            f"/api/jobs/{job_id}/annotations",
            "write to",
            f"job {job_id}",
            query={"action": "create"},
            body={
                "version": 0,
                "shapes": list(some_shapes),
                "tags": list(some_tags),
                "tracks": [],
            },
            repeatable=False,
        )
        made_shapes.extend(answer["shapes"])
        made_tags.extend(answer["tags"])
    return JobAnnotations(tags=tuple(made_tags), shapes=tuple(made_shapes))


def _found(
    job_id: int, shapes: Sequence[RawShape], tags: Sequence[RawShape], held: JobAnnotations
) -> Written:
    try:
        return written(shapes=shapes, tags=tags, held_shapes=held.shapes, held_tags=held.tags)
    except KeyError as error:
        raise GatewayError(
            "write to", f"job {job_id}", 200, f"CVAT did not give back {error.args[0]}"
        ) from error


def _sendable(given: RawShape, *, scores: bool) -> RawShape:
    left_out = {"id"} if scores else {"id", "score"}
    return {name: value for name, value in given.items() if name not in left_out}


def _pieces(objects: Sequence[RawShape]) -> Iterator[list[RawShape]]:
    piece: list[RawShape] = []
    numbers = 0
    for one in objects:
        size = _numbers(one)
        if piece and (len(piece) == PIECE_OBJECTS or numbers + size > PIECE_NUMBERS):
            yield piece
            piece, numbers = [], 0
        piece.append(one)
        numbers += size
    if piece:
        yield piece


def _numbers(one: RawShape) -> int:
    points: Any = one.get("points") or ()
    return len(points) + sum(_numbers(element) for element in one.get("elements") or ())
