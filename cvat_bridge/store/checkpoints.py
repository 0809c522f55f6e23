"""What a fit has reached, kept in the store while it learns, so that it may go on elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from trainer.blobs.errors import BlobError
from trainer.blobs.folders import fetch_folder, put_folder
from trainer.blobs.names import Named, get_name, remove_name, set_name
from trainer.blobs.store import BlobStore

KIND = "checkpoints"
_LEFT_OUT = ("data", "ultralytics")  # folders of a fit that are made anew
_LOOK_SECONDS = 2.0
log = structlog.get_logger("fit")


@contextmanager
def kept_checkpoints(
    blobs: BlobStore | None, name: str, run: Path, *, base: Path | None, every: float = 30.0
) -> Iterator[None]:
    """Keep in the store what a fit writes to its folder; begin with what the store has of it.

    name: of the fit, the same on every machine. run: the fit's folder. base: the weights it begins
    with, as this machine names them. every: seconds between two copies at least. A store that does
    not answer stops no fit; the copy is then older. A fit that ends well leaves nothing there.
    """
    if blobs is None:
        yield
        return
    _begin(blobs, name, run, base)
    over = threading.Event()
    thread = threading.Thread(
        target=_keep, args=(blobs, name, run, over, every), name="checkpoints", daemon=True
    )
    thread.start()
    ended_well = False
    try:
        yield
        ended_well = True
    finally:
        over.set()
        thread.join()
        if ended_well:
            try:
                remove_name(blobs, KIND, name)
            except BlobError as error:
                log.warning("checkpoints stay in the store", fit=name, why=str(error))


def _begin(blobs: BlobStore, name: str, run: Path, base: Path | None) -> None:
    if (run / "request.json").exists():
        return
    try:
        named = get_name(blobs, KIND, name)
        if named is None:
            return
        with tempfile.TemporaryDirectory(dir=run.parent, prefix=".resume-") as scratch:
            found = fetch_folder(blobs, named.sha256, Path(scratch) / "run")
            request = json.loads((found / "request.json").read_bytes())
            request["config"]["base"] = None if base is None else str(base.resolve())
            (found / "request.json").write_text(json.dumps(request), encoding="utf-8")
            for path in sorted(found.rglob("*")):
                if path.is_file():
                    target = run / path.relative_to(found)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    except (BlobError, OSError, ValueError, KeyError) as error:
        log.warning("a fit begins anew: its checkpoint cannot be had", fit=name, why=str(error))
    else:
        log.info("a fit goes on from its last checkpoint", fit=name)


def _keep(blobs: BlobStore, name: str, run: Path, over: threading.Event, every: float) -> None:
    """Copy what has changed, until the fit is over."""
    before: frozenset[tuple[str, int, int]] = frozenset()
    wait = _LOOK_SECONDS
    while not over.wait(wait):
        wait = min(_LOOK_SECONDS, every)
        now = _states(run)
        if now == before or not now:
            continue
        try:
            put_checkpoint(blobs, name, run)
            before, wait = now, every
        except (BlobError, OSError) as error:
            log.warning("the checkpoint was not copied to the store", fit=name, why=str(error))
            wait = every


def put_checkpoint(blobs: BlobStore, name: str, run: Path) -> None:
    """Store what a fit has reached under its name. Raises BlobError, OSError."""
    with tempfile.TemporaryDirectory(dir=run.parent, prefix=".checkpoint-") as scratch:
        copy = Path(scratch)
        for path in _files(run):
            target = copy / path.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".jsonl":  # grows while it is read; all others are replaced whole
                target.write_bytes(path.read_bytes())
            else:
                os.link(path, target)
        sha256 = put_folder(blobs, copy)
    set_name(blobs, Named(KIND, name, sha256, folder=True))


def _files(run: Path) -> list[Path]:
    known = [run / "request.json", run / "events.jsonl", *(run / "fit").rglob("*")]
    return [
        path
        for path in known
        if path.is_file()
        and path.suffix != ".part"
        and not set(path.relative_to(run).parts) & {*_LEFT_OUT, "stop"}
    ]


def _states(run: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, size and time of the files of weights and states."""
    found = []
    for path in _files(run):
        if path.suffix in (".pt", ".npz", ".ckpt"):
            facts = path.stat()
            found.append((path.name, facts.st_size, facts.st_mtime_ns))
    return frozenset(found)
