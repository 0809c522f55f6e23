"""Frames are read by a model, for whoever asked; by the code of a round, in a scratch home."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from active_learning.settings import SelectionSettings
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.evaluations.appearance import AppearanceRecorder, AppearanceStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import split_key
from cvat_bridge.loop.predict import predict
from cvat_bridge.progress import Report
from cvat_bridge.project.facts import Changes, Facts, PoolFrame
from cvat_bridge.queues.requests import ShardRequest
from cvat_bridge.queues.spreading import pack
from cvat_bridge.settings import RoundSettings
from cvat_bridge.store.artefacts import PREDICTIONS
from trainer.blobs.folders import put_folder
from trainer.blobs.names import Named, get_name, set_name
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import read_bundle
from trainer.bundles.shared_bundles import bring_bundle
from trainer.detector import Detector
from trainer.embedding import Descriptor, embedder
from trainer.engines import load
from trainer.errors import BundleError


def read_shard(
    request: ShardRequest,
    *,
    gateway: Gateway,
    blobs: BlobStore,
    home: Home,
    report: Report,
    threads: int | None = None,
) -> dict[str, Any]:
    """Read the frames of a request and store what was said; {"sha256": of that folder's list}.

    What the store has already is not done again. threads: of the model, None for one a core. Raises
    GatewayError, BlobError, BundleError.
    """
    known = get_name(blobs, PREDICTIONS, request.name)
    if known is not None:
        return {"sha256": known.sha256}
    model = request.model or None
    detector = None if model is None else _detector(str(home.bundles), blobs, model, threads)
    with tempfile.TemporaryDirectory(prefix="shard-") as folder:
        scratch = Home(Path(folder) / "home")
        scratch.root.mkdir()
        with (
            Ledger(scratch.ledger) as ledger,
            AppearanceStore(scratch.judged, Descriptor()) as looks,
        ):
            predict(
                gateway,
                ledger,
                _facts(gateway, request),
                home=scratch,
                settings=_settings(request.asked),
                detector=detector,
                model=model,
                embedder=lambda: _embedder(str(home.features)),
                labelled=False,
                report=report,
                observer=AppearanceRecorder(looks, model) if model else None,
            )
        with Ledger(scratch.ledger) as ledger:
            # What CVAT could not give may come the next time.
            packed = Path(folder) / "packed"
            packed.mkdir()
            sha256 = put_folder(
                blobs, pack(scratch, ledger, packed, wanted=lambda row: bool(row.sha256))
            )
    set_name(blobs, Named(PREDICTIONS, request.name, sha256, folder=True))
    return {"sha256": sha256}


@functools.lru_cache(maxsize=2)
def _detector(bundles: str, blobs: BlobStore, version: str, threads: int | None) -> Detector:
    """Load a model, which the next pieces use too."""
    folder = Path(bundles) / version
    if not folder.is_dir() and not bring_bundle(blobs, version, folder):
        raise BundleError(folder, f"version {version} in {blobs}", "none of that version")
    return load(read_bundle(folder, version=version), threads=threads)


@functools.lru_cache(maxsize=1)
def _embedder(features: str) -> Any:
    return embedder(Path(features))


def _settings(asked: Mapping[str, Any]) -> RoundSettings:
    return RoundSettings(
        candidate_score=float(asked["candidate_score"]),
        max_candidates=int(asked["max_candidates"]),
        selection=SelectionSettings(strategy=str(asked["strategy"])),
    )


def _facts(gateway: Gateway, request: ShardRequest) -> Facts:
    """Return the frames of a request in the form of a project's facts."""
    frames = [split_key(key) for key in request.frames]
    media = {task: gateway.media(task) for task in sorted({task for task, _ in frames})}
    pool = []
    for key, (task, number) in zip(request.frames, frames, strict=True):
        frame = media[task].frames[number]
        pool.append(
            PoolFrame(
                key, task, number, 0, frame.name, frame.width, frame.height, media[task].is_video
            )
        )
    return Facts(
        project=gateway.project(request.project),
        labels=(),
        tasks={},
        media=media,
        jobs=(),
        pool=tuple(pool),
        in_work=frozenset(),
        reserved=frozenset(),
        holdout_rule="none",
        changes=Changes((), (), ()),
        new_frames=0,
        notes=(),
    )
