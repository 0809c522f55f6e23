"""The folder of a run: its request, its lock, its result.

<out>/request.json       the request; a different one in the same folder is rejected <out>/fit/
the backend's own state and checkpoint <out>/bundle/            the model to serve
<out>/evaluation.json    the exported model on frames it was not trained on <out>/result.json
written last: the fit is finished <out>/failure.json       the error that ended it, with its log;
removed when it resumes <out>/events.jsonl       the event stream; see trainer.events
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
from trainer.renamed import current_settings
from trainer.runs.small_files import read_json, write_json
from trainer.runs.tracking import Tracker

STOP = "stop"  # a file of this name in the backend's folder ends the fit after the current step
_FREE = ("device", "workers", "time_limit")  # these may differ when a fit is resumed
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEAST = 64 << 20  # bytes of free disk space required to start a fit

Report = Callable[[Progress], None]


def stop_fit(out: Path) -> bool:
    """Ask a running fit to end after the current step and keep its weights.

    Returns whether there was anything to stop; False for a finished fit.
    """
    if (out / "result.json").exists() or not (out / "request.json").exists():
        return False
    (out / "fit").mkdir(exist_ok=True)
    (out / "fit" / STOP).touch()
    return True


def read_request(out: Path) -> tuple[Path, FitConfig, str]:
    """Return the data, config and name of the fit in out; ConfigError when there is none."""
    values = read_json(out / "request.json")
    if values is None:
        raise ConfigError([f"{out} contains no fit to resume; start one with `trainer fit`"])
    return Path(values["data"]), FitConfig.from_json(values["config"]), values["name"]


def reopen(out: Path) -> None:
    """Undo a stop, so that run_fit resumes training."""
    for path in (
        out / "result.json",
        out / "evaluation.json",
        out / "failure.json",
        out / "fit" / STOP,
    ):
        path.unlink(missing_ok=True)
    shutil.rmtree(out / "bundle", ignore_errors=True)


def check_request(out: Path, data: Path, dataset: Dataset, config: FitConfig, name: str) -> None:
    """Write the request, or raise ConfigError when the folder contains a different one.

    An unfinished fit of a version in which settings could not be chosen from the data starts again:
    its network differs.
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
    # Requests of earlier versions lack the settings added since.
    earlier = "automatic" not in before["config"]
    defaults = json.loads(json.dumps(FitConfig(config.backend).to_json()))
    was = {**defaults, **before["config"]}
    was["extra"] = current_settings(config.backend, was["extra"])
    now = {**request["config"], "extra": current_settings(config.backend, config.extra)}
    now = json.loads(json.dumps(now))
    free = {*_FREE, *((config.automatic | {"automatic"}) if earlier else ())}
    differ = [
        f"{key} was {was[key]!r}, now {value!r}"
        for key, value in now.items()
        if key not in free and was[key] != value
    ]
    if before["dataset"] != request["dataset"]:
        differ.append(f"the dataset was {before['dataset'][:12]}, now {dataset.fingerprint[:12]}")
    if differ:
        raise ConfigError([f"{out} contains another fit; use a new folder", *differ])
    if earlier and not (out / "result.json").exists():
        shutil.rmtree(out / "fit", ignore_errors=True)
        write_json(out / "request.json", request)


@contextmanager
def locked(out: Path, name: str) -> Iterator[None]:
    """Lock the folder; the lock is released when the process ends in any way."""
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = f"another process is training in {out}: follow it with `trainer watch {out}`"
            raise TrainingError(name, f"{busy}, or choose another folder") from None
        yield


@contextmanager
def recording(
    out: Path, config: FitConfig, report: Report, tracker: Callable[[], Tracker] | None
) -> Iterator[Report]:
    """Report steps to report, the event stream and MLflow; record a failure.

    Disk-full and out-of-memory errors become TrainingError.
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
                f"the disk is full: {error.filename or out}. The saved state is intact; free "
                "some space and continue with `trainer resume`",
            ) from error
        except ALLOCATING as error:
            # Reading, evaluating and calibrating allocate memory outside the backend's own guard.
            if not is_out_of_memory(error):
                raise
            reason = out_of_memory(config.batch_size, config.image_size, str(error))
            raise TrainingError(config.backend, reason) from error
    except BaseException as error:
        # Record and re-raise: whoever watches a run must see that it ended, and why.
        record_failure(out, error, events)
        raise
    finally:
        if tracked is not None:
            tracked.end(status)
            if tracked.trouble:
                trouble = f"MLflow has not received all metrics: {tracked.trouble}"
                report(Progress("note", 0, 0, note=trouble))


def record_failure(out: Path, error: BaseException, events: EventLog | None = None) -> None:
    """Write the error that ended a run to its folder and event stream, if the disk allows."""
    values = error_json(error) | {"at": datetime.now(timezone.utc).isoformat()}
    log = getattr(error, "log", None)
    try:
        (events or EventLog(out)).error(error)
        write_json(out / "failure.json", values | {"log": None if log is None else str(log)})
    except OSError:
        return  # probably a full disk: the caller still gets the error itself


def check_disk_space(out: Path, who: str) -> None:
    """Raise TrainingError when the disk is almost full."""
    free = shutil.disk_usage(out).free
    if free < _LEAST:
        raise TrainingError(
            who,
            f"the disk of {out} has {free >> 20} MiB free, a fit needs {_LEAST >> 20} or more: "
            "free some space or choose another folder",
        )
