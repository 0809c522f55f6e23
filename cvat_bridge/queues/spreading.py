"""A round's heavy work done by other machines where there are any, and brought home."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from cvat_bridge.config import Config
from cvat_bridge.errors import WorkFailedError
from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts
from cvat_bridge.progress import EventCallback, Report, ignore_event
from cvat_bridge.queues.asking import Asked, Queues, opened_queues
from cvat_bridge.queues.elsewhere import Shown, forget, shown_here
from cvat_bridge.queues.names import STOP
from cvat_bridge.queues.presence import Worker, who_can
from cvat_bridge.queues.requests import FitRequest, ShardRequest
from cvat_bridge.store.artefacts import PREDICTIONS
from cvat_bridge.training.fitting import FitFailedError, Fitted
from trainer.blobs.folders import fetch_folder
from trainer.blobs.names import get_name
from trainer.blobs.store import BlobStore
from trainer.bundles.bundle import read_bundle
from trainer.bundles.shared_bundles import bring_bundle, share_bundle
from trainer.detector import FitConfig

FRAMES = "frames.json"
_AT_ONCE = 8  # questions to the store


class Spread:
    """Asks the workers of a configuration. blobs: the store that all machines share."""

    def __init__(self, config: Config, home: Home, blobs: BlobStore) -> None:
        self._config, self._home, self._blobs = config, home, blobs

    def fit(
        self,
        settings: FitConfig,
        *,
        fingerprint: str,
        run: str,
        name: str,
        base: Path | None,
        experiment: str,
        report: Report,
        on_event: EventCallback = ignore_event,
    ) -> Fitted | None:
        """Have a fit done by a worker; None where no worker does fits, so that it is done here.

        settings.device: the device it needs, or ANY. on_event: as run_fit's. Raises
        FitFailedError as run_fit does, NotReadyError when workers do fits but none has the device.
        """
        folder = self._home.runs / run
        forget(folder)
        with opened_queues(self._config) as queues:
            there = () if queues is None else queues.workers()
            if queues is None or not who_can(there, "fit"):
                return None
            # A processor is here, too.
            if settings.device == "cpu" and not who_can(there, "fit", "cpu"):
                return None
            request = self._request(settings, fingerprint, run, name, base, experiment)
            with shown_here(folder, name) as shown:
                answer = self._asked(queues, request, settings.device, shown, report, on_event)
        return self._fitted(answer, folder)

    def _asked(
        self,
        queues: Queues,
        request: FitRequest,
        device: str,
        shown: Shown,
        report: Report,
        on_event: EventCallback,
    ) -> Mapping[str, Any]:
        """Wait for a fit, and say meanwhile how far it is."""
        stopped = False

        def on_progress(_done: int, there: Sequence[Worker]) -> None:
            nonlocal stopped
            if not stopped and shown.is_to_stop:
                queues.flags.raise_(STOP + request.id)
                stopped = True
            for one in there:
                doing = one.doing
                if doing.get("work") == request.id and shown.record(doing):
                    report(str(doing["stage"]), int(doing["done"]), int(doing["total"]))
                    on_event({"event": "progress", **doing})

        try:
            (answer,) = queues.work(
                [Asked("fit", request.id, asdict(request), device)], on_progress
            )
        except WorkFailedError as failed:
            raise FitFailedError(failed.kind, failed.message, shown.folder) from failed
        return answer

    def predict(
        self,
        ledger: Ledger,
        requests: Sequence[ShardRequest],
        *,
        appearance: AppearanceStore | None,
        report: Report,
    ) -> int:
        """Have frames read by workers and keep what they said; return how many frames those are.

        0 where no worker predicts. A piece that was read before, by anybody, is only fetched.
        """
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="known") as pool:
            found = pool.map(lambda one: get_name(self._blobs, PREDICTIONS, one.name), requests)
            held = dict(zip((one.id for one in requests), found, strict=True))
        known = {name: found.sha256 for name, found in held.items() if found is not None}
        missing = [one for one in requests if one.id not in known]
        total = sum(len(one.frames) for one in requests)
        with opened_queues(self._config) as queues:
            there = () if queues is None else queues.workers()
            if missing and queues is not None and who_can(there, "predict"):
                work = [Asked("predict", one.id, asdict(one)) for one in missing]
                step = total / max(len(requests), 1)
                answers = queues.work(
                    work,
                    lambda done, _: report("predict", int((len(known) + done) * step), total),
                )
                known |= {
                    one.id: str(answer["sha256"])
                    for one, answer in zip(missing, answers, strict=True)
                }
        for one in requests:
            if one.id in known:
                self._take(known[one.id], ledger, appearance)
        return sum(len(one.frames) for one in requests if one.id in known)

    def _request(
        self,
        settings: FitConfig,
        fingerprint: str,
        run: str,
        name: str,
        base: Path | None,
        experiment: str,
    ) -> FitRequest:
        plain = FitConfig(**{one.name: getattr(settings, one.name) for one in fields(FitConfig)})
        values = json.loads(json.dumps(replace(plain, base=None).to_json()))
        version, file = "", None
        if base is not None and base.is_dir():
            bundle = read_bundle(base)
            share_bundle(self._blobs, bundle)
            version = bundle.version
        elif base is not None:
            file = {"name": base.name, "sha256": self._blobs.put_file(base)}
        project = self._config.project_id
        return FitRequest(project, run, fingerprint, name, values, version, file, experiment)

    def _fitted(self, answer: Mapping[str, Any], folder: Path) -> Fitted:
        version = str(answer["version"])
        bundle = folder / "bundle"
        if not bundle.is_dir() and not bring_bundle(self._blobs, version, bundle):
            raise WorkFailedError("BlobMissingError", f"the bundle {version} is not in the store")
        found = read_bundle(bundle, version=version)
        return Fitted(found.path, float(answer["seconds"]), answer.get("evaluation"))

    def _take(self, sha256: str, ledger: Ledger, appearance: AppearanceStore | None) -> None:
        """Keep what a worker said of frames; taking it twice changes nothing."""
        with tempfile.TemporaryDirectory(prefix="shard-") as scratch:
            folder = fetch_folder(self._blobs, sha256, Path(scratch) / "shard")
            for path in sorted((folder / "predictions").glob("*.db")):
                take_predictions(self._home.predictions, path)
            if appearance is not None and (folder / "looks.db").exists():
                appearance.take(folder / "looks.db")
            rows = json.loads((folder / FRAMES).read_bytes())
            # Written last: only frames whose predictions are here count as read.
            ledger.add_frames([FrameFacts(**row) for row in rows])


def take_predictions(folder: Path, path: Path) -> None:
    """Add the predictions of a worker's file to those of the model of that name."""
    with PredictionStore(path.parent, path.stem) as theirs:
        labels, everything = theirs.labels, theirs.get(theirs.known())
    with PredictionStore(folder, path.stem, labels=labels) as ours:
        ours.put(everything)


def pack(home: Home, ledger: Ledger, folder: Path, *, wanted: Callable[[FrameFacts], bool]) -> Path:
    """Gather what a scratch home knows of frames into a folder, as `Spread.predict` takes it."""
    shutil.copytree(home.predictions, folder / "predictions")
    if (home.judged / "looks.db").exists():
        shutil.copyfile(home.judged / "looks.db", folder / "looks.db")
    rows = [asdict(row) for row in ledger.frames().values() if wanted(row)]
    (folder / FRAMES).write_text(json.dumps(rows), encoding="utf-8")
    return folder
