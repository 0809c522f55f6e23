"""Shapes on their way to CVAT: in pieces, in a thread of their own, each remembered first.

A piece is put into the ledger as pending, written by one request, then put there as done. A run
that dies in between finds the pending shapes again, looks whether CVAT has them, and sends those
very shapes, not the answer of another inference, where it has not.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

from typing_extensions import Self

from cvat_bridge.cvat.gateway import Gateway, JobAnnotations
from cvat_bridge.cvat.shape_equality import shape_key
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import AnnotatedFrame

PIECE_OBJECTS = 500
PIECE_NUMBERS = 200_000  # coordinates and run lengths: one request of a few MB at most
PIECE_FRAMES = 100
PIECE_SECONDS = 5.0  # of work that a killed run has to do again


@dataclass
class _Piece:
    rows: list[AnnotatedFrame] = field(default_factory=list)
    objects: int = 0
    numbers: int = 0
    begun: float = field(default_factory=time.monotonic)

    def add(self, row: AnnotatedFrame) -> None:
        self.rows.append(row)
        self.objects += len(row.pending)
        self.numbers += sum(len(shape["points"]) for shape in row.pending)

    @property
    def is_full(self) -> bool:
        return (
            self.objects >= PIECE_OBJECTS
            or self.numbers >= PIECE_NUMBERS
            or len(self.rows) >= PIECE_FRAMES
            or time.monotonic() - self.begun >= PIECE_SECONDS
        )


class Writer:
    """Takes what frames shall hold and writes it; a context, at whose end everything is written.

    held: what each job held before, by job. allowed: asked before each piece, which of its rows
    may still be written, since people work meanwhile. An error of CVAT or the ledger is raised by
    the next call of `put` or at the end of the context; what was written before it stays.
    """

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        held: Mapping[int, JobAnnotations],
        *,
        allowed: Callable[[int, list[AnnotatedFrame]], list[AnnotatedFrame]],
    ) -> None:
        self._gateway, self._ledger, self._held = gateway, ledger, held
        self._allowed = allowed
        self._box: queue.Queue[AnnotatedFrame | None] = queue.Queue(maxsize=4 * PIECE_FRAMES)
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._box.put(None)
        self._thread.join()
        if self._fault is not None and error is None:
            raise self._fault

    def put(self, row: AnnotatedFrame) -> None:
        """Hand over a frame of a job; `pending` holds its shapes."""
        if self._fault is not None:
            raise self._fault
        self._box.put(row)

    def _work(self) -> None:
        pieces: dict[int, _Piece] = defaultdict(_Piece)
        more = True
        while more:
            try:
                row = self._box.get(timeout=PIECE_SECONDS / 5)
            except queue.Empty:
                pass
            else:
                more = row is not None
                if row is not None:
                    pieces[row.job_id].add(row)
            self._flush(pieces, [j for j, piece in pieces.items() if piece.is_full or not more])

    def _flush(self, pieces: dict[int, _Piece], job_ids: Sequence[int]) -> None:
        for job_id in job_ids:
            rows = pieces.pop(job_id).rows
            if self._fault is None:
                try:
                    rows = self._allowed(job_id, rows)
                    if rows:
                        write(self._gateway, self._ledger, rows, self._held[job_id])
                except BaseException as fault:  # noqa: BLE001 raised again by put or at the end
                    self._fault = fault


def write(
    gateway: Gateway, ledger: Ledger, rows: Sequence[AnnotatedFrame], held: JobAnnotations
) -> int:
    """Write frames of one job and remember them; returns how many objects. See the module."""
    ledger.save_annotated(rows)
    shapes = [shape for row in rows for shape in row.pending]
    frames = {row.frame for row in rows}
    if shapes:
        # Nobody but this run writes automatic objects to these frames, so what was read before
        # it began is enough to know; people's objects have another source.
        known = JobAnnotations(shapes=tuple(s for s in held.shapes if int(s["frame"]) in frames))
        gateway.create_annotations(rows[0].job_id, shapes=shapes, known=known)
    ledger.save_annotated([replace(row, pending=()) for row in rows])
    return len(shapes)


def finish_pending_writes(
    gateway: Gateway, ledger: Ledger, rows: Sequence[AnnotatedFrame], held: JobAnnotations
) -> int:
    """Bring the pending frames of one job, left by a run that died, to their end.

    A frame's shapes go to CVAT in one request. So where one of them is there the request was
    done, and those that are missing were deleted or changed by people since.
    """
    keys = {shape_key(shape) for shape in held.shapes}
    there = [row for row in rows if any(shape_key(shape) in keys for shape in row.pending)]
    ledger.save_annotated([replace(row, pending=()) for row in there])
    lost = [row for row in rows if row not in there]
    return write(gateway, ledger, lost, held) if lost else 0
