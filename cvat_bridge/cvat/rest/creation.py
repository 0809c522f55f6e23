"""Making a task with its data, found by its marker when it was made before."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cvat_sdk.core.uploading import DataUploader

from cvat_bridge.cvat.gateway import NewTask, Task
from cvat_bridge.cvat.rest import raw
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.retries import Deadline, Patience
from cvat_bridge.errors import (
    GatewayError,
    NotFoundError,
    NotReadyError,
    UnreachableError,
)
from trainer.data.files import parse_json

ATTEMPTS = 4  # uploads are dear: not as often as patience would allow
UPLOAD_BYTES = 32 << 20  # in one request; a larger file goes in resumable pieces
CHECK_SECONDS = (0.2, 3.0)
log = logging.getLogger(__name__)


def create(
    net: Connection,
    spec: NewTask,
    *,
    find: Callable[[], Task | None],
    strays: Callable[[int], Sequence[Task]],
    organization: int | None,
    wait: Patience,
) -> Task:
    """Make the task and wait for its jobs, or find it.

    find: looks for a task of the spec's marker. strays: looks for empty ones of that marker besides
    the one of this id: requests that were given up and that CVAT carried out late. organization: of
    the project. wait: how long CVAT may work on the data. Raises NotReadyError when it takes
    longer, GatewayError when it refuses.
    """
    for attempt in range(ATTEMPTS):
        found = _found(net, find())
        try:
            if isinstance(found, Task):
                return found
            task_id = _made(net, spec, organization) if found is None else found
            made = _ready(net, task_id, wait)
            for stray in strays(task_id) if attempt else ():
                log.warning("task %d was made late and is empty: deleted", stray.id)
                delete(net, stray.id)
            return made  # noqa: TRY300 the strays may fail as well
        except UnreachableError as error:
            # Whatever was done is found by the marker: no second task comes of this.
            last = attempt + 1 == ATTEMPTS
            if last or not Deadline(net.patience).pause(attempt, why=error.detail):
                raise
            log.warning("making task %r: %s; looking what is there", spec.name, error)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _found(net: Connection, task: Task | None) -> Task | int | None:
    """Return the whole task, or the id of one that CVAT is at work on; remove a dead one."""
    if task is None or task.size:
        return task
    state = _request(net, task.id)
    if state is not None and state["status"] in {"queued", "started"}:
        return task.id
    log.warning("task %d has no data (an earlier try died): made anew", task.id)
    delete(net, task.id)
    return None


def _made(net: Connection, spec: NewTask, organization: int | None) -> int:
    # Without the organization's context CVAT takes the task for one of the personal workspace.
    context = (
        {"org_id": organization} if organization is not None and not net.organization else None
    )
    row = net.call(
        "POST",
        "/api/tasks",
        "make",
        f"task {spec.name!r}",
        query=context,
        body={"name": spec.name, "project_id": spec.project_id, "subset": spec.subset},
        repeatable=False,
    )
    task_id = int(row["id"])
    _attach(net, task_id, spec)
    return task_id


def delete(net: Connection, task_id: int) -> None:
    """Delete a task; one that is gone already is no error."""
    try:
        net.call("DELETE", f"/api/tasks/{task_id}", "delete", f"task {task_id}")
    except NotFoundError:
        log.info("task %d is gone already", task_id)


def _attach(net: Connection, task_id: int, spec: NewTask) -> None:
    subject = f"task {task_id} ({spec.name!r})"
    fields: dict[str, Any] = {
        "image_quality": spec.image_quality,
        "job_file_mapping": [list(names) for names in spec.jobs],
    }
    if spec.server_files:
        # copy_data would turn the files into local ones, and with them every later round's.
        named = {name for names in spec.jobs for name in names}
        fields |= {
            "server_files": [name for name in spec.server_files if name in named],
            "use_cache": True,
            "copy_data": False,
        }
        if spec.cloud_storage_id is not None:
            fields["cloud_storage_id"] = spec.cloud_storage_id
        net.call(
            "POST",
            f"/api/tasks/{task_id}/data",
            "attach data to",
            subject,
            body=fields,
            repeatable=False,
        )
        return
    with tempfile.TemporaryDirectory(prefix="upload-") as name:
        folder = Path(name)
        for file in spec.files:
            (folder / file.name).write_bytes(file.content)
        with net.translated("upload the files of", subject):
            answer = DataUploader(net.sdk, max_request_size=UPLOAD_BYTES).upload_files(
                f"{net.url}/api/tasks/{task_id}/data/",
                [folder / file.name for file in spec.files],
                use_cache=True,
                **fields,
            )
            try:
                parse_json(answer.data)
            except ValueError as error:  # a page of something in between, or half an answer
                raise UnreachableError(
                    "upload the files of", subject, answer.status, f"no JSON came back: {error}"
                ) from error


def _request(net: Connection, task_id: int) -> Mapping[str, Any] | None:
    """Read how far CVAT is with a task's data; None when it is not (any more) at it."""
    number = quote(f"action=create&target=task&target_id={task_id}", safe="")
    try:
        state: Mapping[str, Any] = net.get(f"/api/requests/{number}", f"making of task {task_id}")
    except NotFoundError:
        return None
    return state


def _ready(net: Connection, task_id: int, wait: Patience) -> Task:
    deadline = Deadline(wait)
    shortest, longest = CHECK_SECONDS
    pause = shortest
    while True:
        state = _request(net, task_id)
        if state is None or state["status"] in {"failed", "finished"}:
            return _whole(net, task_id, state)
        if deadline.remaining() <= pause:
            raise NotReadyError(
                f"task {task_id}: CVAT is still reading its data after {wait.total:.0f} s "
                f"({state['status']}); it is found again by its marker"
            )
        wait.sleep(pause)
        pause = min(longest, pause * 1.5)


def _whole(net: Connection, task_id: int, state: Mapping[str, Any] | None) -> Task:
    task = raw.task(net.get(f"/api/tasks/{task_id}", f"task {task_id}"))
    if task.size and (state is None or state["status"] == "finished"):
        return task
    delete(net, task_id)  # it can never get data any more
    message = str((state or {}).get("message") or "it ended without any frame").strip()
    raise GatewayError(
        "make",
        f"task {task_id} ({task.name!r})",
        200,
        f"CVAT could not read its data: {message[-800:]}",
    )
