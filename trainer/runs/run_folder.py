"""The folder of a run: what was asked, who works in it, how it ended.

<out>/request.json       what was asked; another request in the same folder is refused
<out>/fit/               the backend's own state and checkpoint
<out>/bundle/            what serves
<out>/evaluation.json    the exported model on frames it did not learn from
<out>/result.json        written last: the fit is finished
<out>/failure.json       what ended it instead, with its log; gone when it is gone on with
<out>/events.jsonl       the event stream; see trainer.events
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError, TrainingError
from trainer.events import EventLog, error_json
from trainer.machine.out_of_memory import ALLOCATING, is_out_of_memory, out_of_memory
from trainer.runs.small_files import read_json, write_json
from trainer.runs.tracking import Tracker

STOP = "stop"  # a file of this name in the backend's folder ends the fit after the step at work
_FREE = ("device", "workers", "time_limit")  # these may differ when a fit is gone on with
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEAST = 64 << 20  # bytes free on the disk for a fit to begin

Report = Callable[[Progress], None]


def stop_fit(out: Path) -> bool:
    """Ask a running fit to end after the step at work and keep what it learnt.

    Returns whether there was anything to stop; a finished fit has nothing.
    """
    if (out / "result.json").exists() or not (out / "request.json").exists():
        return False
    (out / "fit").mkdir(exist_ok=True)
    (out / "fit" / STOP).touch()
    return True


def read_request(out: Path) -> tuple[Path, FitConfig, str]:
    """Return the data, config and name that out was begun with; ConfigError when it was not."""
    values = read_json(out / "request.json")
    if values is None:
        raise ConfigError([f"{out} holds no fit to go on with; begin one with `trainer fit`"])
    return Path(values["data"]), FitConfig.from_json(values["config"]), values["name"]


def reopen(out: Path) -> None:
    """Take back a stop, so that run_fit goes on learning where it ended."""
    for path in (
        out / "result.json",
        out / "evaluation.json",
        out / "failure.json",
        out / "fit" / STOP,
    ):
        path.unlink(missing_ok=True)
    shutil.rmtree(out / "bundle", ignore_errors=True)


def check_request(out: Path, data: Path, dataset: Dataset, config: FitConfig, name: str) -> None:
    """Write what is asked, or refuse it where the folder holds another request (ConfigError).

    A fit that an earlier version began, before settings could be left to the data, and did not
    finish is begun anew: its network is another one.
    """
    base = None if config.base is None else config.base.resolve()
    plain = dataclasses.replace(config, base=base).to_json()
    request = {
        "data": str(data.resolve()),
        "name": name,
        "dataset": dataset.fingerprint,
        "config": json.loads(json.dumps(plain)),
    }
    before = read_json(out / "request.json")
    if before is None:
        write_json(out / "request.json", request)
        return
    # A run of an earlier version was begun without the settings that came since.
    earlier = "automatic" not in before["config"]
    defaults = json.loads(json.dumps(FitConfig(config.backend).to_json()))
    was = {**defaults, **before["config"]}
    free = {*_FREE, *((config.automatic | {"automatic"}) if earlier else ())}
    differ = [
        f"{key} was {was[key]!r}, now {value!r}"
        for key, value in request["config"].items()
        if key not in free and was[key] != value
    ]
    if before["dataset"] != request["dataset"]:
        differ.append(f"the dataset was {before['dataset'][:12]}, now {dataset.fingerprint[:12]}")
    if differ:
        raise ConfigError([f"{out} holds another fit; use a new folder", *differ])
    if earlier and not (out / "result.json").exists():
        shutil.rmtree(out / "fit", ignore_errors=True)
        write_json(out / "request.json", request)


@contextmanager
def locked(out: Path, name: str) -> Iterator[None]:
    """Hold the folder; the lock falls with the process, however it ends."""
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = f"another process is learning in {out}: follow it with `trainer watch {out}`"
            raise TrainingError(name, f"{busy}, or choose another folder") from None
        yield


@contextmanager
def recording(
    out: Path, config: FitConfig, report: Report, tracker: Callable[[], Tracker] | None
) -> Iterator[Report]:
    """Within, what is told goes to report, the event stream and MLflow; a failure is recorded.

    A full disk and memory that is used up become TrainingError.
    """
    events, failure = EventLog(out), out / "failure.json"
    failure.unlink(missing_ok=True)
    tracked = None if tracker is None else tracker()
    status = "FAILED"

    def record_step(step: Progress) -> None:
        events.progress(step)
        if tracked is not None:
            tracked.progress(step)
        report(step)

    try:
        try:
            yield record_step
            status = "FINISHED"
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise TrainingError(
                config.backend,
                f"the disk is full: {error.filename or out}. What was saved before is whole; free "
                "some space and `trainer resume` goes on from it",
            ) from error
        except ALLOCATING as error:
            # Reading, evaluating and calibrating allocate too, outside the backend's own guard.
            if not is_out_of_memory(error):
                raise
            reason = out_of_memory(config.batch_size, config.image_size, str(error))
            raise TrainingError(config.backend, reason) from error
    except BaseException as error:
        # Told and raised again: whoever watches a run must see that it ended, and why.
        record_failure(out, error, events)
        raise
    finally:
        if tracked is not None:
            tracked.end(status)
            if tracked.trouble:
                trouble = f"MLflow has not all figures: {tracked.trouble}"
                report(Progress("note", 0, 0, note=trouble))


def record_failure(out: Path, error: BaseException, events: EventLog | None = None) -> None:
    """Write what ended a run into its folder and its event stream, as far as the disk allows."""
    values = error_json(error) | {"at": datetime.now(timezone.utc).isoformat()}
    log = getattr(error, "log", None)
    try:
        (events or EventLog(out)).error(error)
        write_json(out / "failure.json", values | {"log": None if log is None else str(log)})
    except OSError:
        return  # a full disk is what we would tell of: the caller still gets the error itself


def check_disk_space(out: Path, who: str) -> None:
    """Refuse to begin on a disk that is all but full."""
    free = shutil.disk_usage(out).free
    if free < _LEAST:
        raise TrainingError(
            who,
            f"the disk of {out} has {free >> 20} MiB free, a fit needs {_LEAST >> 20} or more: "
            "free some space or choose another folder",
        )
