"""A fit for whoever asked, in the worker's own folder, from its last checkpoint in the store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from cvat_bridge.database.flags import Flags
from cvat_bridge.errors import LedgerError, WorkFailedError
from cvat_bridge.home import Home
from cvat_bridge.queues.names import STOP
from cvat_bridge.queues.requests import FitRequest
from cvat_bridge.store.artefacts import SNAPSHOTS, bring_folder
from cvat_bridge.store.checkpoints import kept_checkpoints
from cvat_bridge.training.fitting import FitFailedError, run_fit
from trainer.blobs.errors import BlobMissingError
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import read_bundle
from trainer.bundles.shared_bundles import bring_bundle, share_bundle
from trainer.detector import FitConfig
from trainer.runs.run_folder import stop_fit

_STOP_SECONDS = 2.0
log = structlog.get_logger("work")


def do_fit(
    request: FitRequest,
    *,
    device: str,
    home: Home,
    blobs: BlobStore,
    flags: Flags,
    mlflow: str,
    on_event: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """Fit, and store the bundle; {"version", "seconds", "evaluation"}.

    device: of this worker. on_event: as run_fit's. mlflow: server for live figures, or "none". A
    STOP flag of the request ends the fit with what it has. Raises WorkFailedError as run_fit raises
    FitFailedError, and BlobError.
    """
    dataset = bring_folder(blobs, SNAPSHOTS, home.snapshots / request.fingerprint)
    base = _base(request, home, blobs)
    settings = replace(FitConfig.from_json(request.settings), device=device)
    run_dir = home.runs / request.run
    run_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (
            kept_checkpoints(blobs, request.id, run_dir, base=base),
            _stopped_by(flags, STOP + request.id, run_dir),
        ):
            fitted = run_fit(
                dataset,
                settings,
                run_dir=run_dir,
                name=request.name,
                base=base,
                on_event=on_event,
                mlflow=mlflow,
                experiment=request.experiment,
            )
            # Before the checkpoint goes: whoever is handed this fit now finds one or the other.
            bundle = read_bundle(fitted.bundle)
            share_bundle(blobs, bundle)
    except FitFailedError as failure:
        raise WorkFailedError(failure.kind, failure.message) from failure
    evaluation = None if fitted.evaluation is None else dict(fitted.evaluation)
    return {"version": bundle.version, "seconds": fitted.seconds, "evaluation": evaluation}


def _base(request: FitRequest, home: Home, blobs: BlobStore) -> Path | None:
    if request.base:
        folder = home.bundles / request.base
        if not folder.is_dir() and not bring_bundle(blobs, request.base, folder):
            raise BlobMissingError(str(blobs), f"holds no bundle of version {request.base}")
        return folder
    if request.base_file is None:
        return None
    sha256 = request.base_file["sha256"]
    path = home.library / "bases" / sha256 / Path(request.base_file["name"]).name
    return path if path.exists() else blobs.fetch(sha256, path)


@contextmanager
def _stopped_by(flags: Flags, name: str, run_dir: Path) -> Iterator[None]:
    """Look for the word to stop while a fit runs; the flag is taken down at the end."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(_STOP_SECONDS):
            try:
                if flags.of(name) is not None:
                    stop_fit(run_dir)
            except (LedgerError, OSError) as error:
                log.warning("whether a fit is to stop cannot be seen", why=str(error))

    thread = threading.Thread(target=look, name="stop", daemon=True)
    thread.start()
    try:
        yield
        flags.lower(name)
    finally:
        over.set()
        thread.join()
