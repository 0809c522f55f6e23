"""The whole of it: a plan carried out task by task."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvat_bridge.annotate.inference import InferenceRunner
from cvat_bridge.annotate.plan import AnnotationPlan
from cvat_bridge.annotate.summary import AnnotationSummary
from cvat_bridge.annotate.task import TaskRun
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import BridgeError
from cvat_bridge.ledger import Ledger
from cvat_bridge.progress import Report, quiet


def annotate(
    gateway: Gateway,
    ledger: Ledger,
    plan: AnnotationPlan,
    runner: InferenceRunner,
    *,
    locks: Path,
    report: Report = quiet,
    stop: threading.Event | None = None,
) -> AnnotationSummary:
    """Carry out a plan: what each frame lacks of the model's objects is written into its jobs.

    Shapes carry source auto, score, and the label's attribute `confidence`. Nothing that stands
    there is changed. locks: folder for the locks that keep two runs out of one task. stop: set it
    and the run ends after the batches at work, with what they found written. A run that was
    killed goes on where it was and doubles nothing. Raises GatewayError, LedgerError, ModelError,
    BridgeError when another run is in a task.
    """
    stop = stop or threading.Event()
    outcome = AnnotationSummary(
        left_alone=dict(plan.left_alone), done=sum(task.done for task in plan.tasks)
    )
    begun, busy = time.monotonic(), time.process_time()
    total, count = plan.total, 0
    report("annotate", 0, total)
    for task in plan.tasks:
        outcome.unmatched |= task.labelling.left_out
        if stop.is_set():
            break
        with alone(locks, task.task.id):
            share = TaskRun(gateway, ledger, task, runner, stop, outcome, plan.request)
            for _ in share.frames():
                count += 1
                report("annotate", count, total)
    outcome.stopped = stop.is_set() and count < total
    outcome.seconds = time.monotonic() - begun
    outcome.processor_seconds = time.process_time() - busy
    return outcome


@contextmanager
def alone(folder: Path, task_id: int) -> Iterator[None]:
    """Keep other runs out of a task; the lock goes with the process. Raises BridgeError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"task-{task_id}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BridgeError(
                f"another `annotate` works on task {task_id}; wait until it is done, or stop it"
            ) from None
        yield
