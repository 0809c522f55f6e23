"""Send metrics of a running fit to MLflow; the fit never waits for MLflow or fails with it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainer.detector import FitConfig, Progress
from trainer.errors import RegistryError
from trainer.registry.mlflow_access import client_of, mlflow_errors, quiet_mlflow
from trainer.registry.registry import Registry
from trainer.runs.left_open import NOTE, close_left_open, note_closed, note_opened, run_id_of

_PERIOD = 2.0  # seconds between batches of metrics
_LIMIT = 1000  # metrics per batch, MLflow's limit
_STAGES = ("fit", "val")  # whose metrics are sent
_PARAM = 6000  # MLflow's length limit of a parameter
_END = 60.0  # seconds that the end of a fit waits for the last metrics
_END_FAILED = 5.0  # the same for a failed fit, whose error people wait for
_log = logging.getLogger(__name__)


class Tracker:
    """One MLflow run. Metrics are collected and sent from a separate thread.

    registry: where; name: of the experiment; run: the folder whose name the run bears. MLflow,
    which takes seconds to load, is woken by the first figure: a fit that fails before it has learnt
    anything does not wait for it. Other runs that a killed fit left open are closed at the same
    time. trouble: why nothing could be sent, or "".
    """

    def __init__(
        self, registry: Registry, *, name: str, run: Path, params: Mapping[str, Any]
    ) -> None:
        self.trouble = ""
        self._told: queue.SimpleQueue[Progress | str] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._registry, self._name, self._run, self._params = registry, name, run, dict(params)
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._woken = False

    def progress(self, step: Progress) -> None:
        """Queue a step; returns at once."""
        if step.stage not in _STAGES:
            return
        self._told.put(step)
        self._wake()

    def end(self, status: str) -> None:
        """Send the remaining metrics and close the run. status: FINISHED, FAILED or KILLED."""
        if not self._woken and not (self._run / NOTE).exists():
            return  # MLflow was never contacted
        self._told.put(status)
        self._ending.set()
        self._wake()
        patience = _END if status == "FINISHED" else _END_FAILED
        self._thread.join(patience)
        if self._thread.is_alive():
            self.trouble = f"MLflow took more than {patience:.0f} s for the last metrics"

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._thread.start()

    def _work(self) -> None:
        # Top level of a thread: tracking is optional and must not end a fit of hours.
        try:
            with mlflow_errors(self._name, self._registry.tracking_uri):
                self._follow()
        except (RegistryError, ValueError) as error:
            self.trouble = f"{type(error).__name__}: {error}"
            _log.warning("MLflow received no more metrics: %s", error)

    def _follow(self) -> None:
        mlflow = quiet_mlflow()
        self._registry.artifact_root.mkdir(parents=True, exist_ok=True)
        client = client_of(self._registry.tracking_uri)
        run_id = self._open(client)
        status = None
        while status is None:
            if self._told.empty():
                self._ending.wait(_PERIOD)
            status = self._send(client, mlflow.entities.Metric, run_id)
        client.set_terminated(run_id, status)
        note_closed(self._run, status)

    def _open(self, client: Any) -> str:
        """Return the MLflow run of this fit: the earlier one of a resumed fit, or a new one."""
        close_left_open(self._run.parent)
        known = run_id_of(self._run)
        if known is not None:
            note_opened(self._run, known, self._registry.tracking_uri)
            client.update_run(known, status="RUNNING")
            return known
        found = client.get_experiment_by_name(self._name)
        if found is None:
            # A server stores artifacts itself; the embedded store would create mlruns/ here.
            remote = self._registry.tracking_uri.startswith(("http://", "https://"))
            place = None if remote else (self._registry.artifact_root / "mlartifacts").as_uri()
            experiment = str(client.create_experiment(self._name, artifact_location=place))
        else:
            experiment = str(found.experiment_id)
        run_id = str(client.create_run(experiment, run_name=self._run.name).info.run_id)
        note_opened(self._run, run_id, self._registry.tracking_uri)
        for name, value in self._params.items():
            client.log_param(run_id, name, str(value)[:_PARAM])
        return run_id

    def _send(self, client: Any, metric: Any, run_id: str) -> str | None:
        rows: list[Any] = []
        now = int(time.time() * 1000)
        status = None
        while status is None and not self._told.empty() and len(rows) < _LIMIT - 50:
            step = self._told.get()
            if isinstance(step, str):
                status = step
                continue
            prefix = "val_" if step.stage == "val" else ""
            rows += [metric(prefix + k, float(v), now, step.done) for k, v in step.figures.items()]
            if step.picture is not None:
                client.log_artifact(run_id, str(step.picture), "samples")
        if rows:
            client.log_batch(run_id, metrics=rows)
        return status


def tracker_of(
    where: str | None, out: Path, config: FitConfig, experiment: str
) -> Callable[[], Tracker] | None:
    """Return a function that starts tracking a fit in `out`, or None.

    where: a server or database URL for MLflow, None for mlflow.db next to the run, "none" for no
    tracking. experiment: groups runs to be charted together; the backend's name if "".
    """
    if where == "none":
        return None
    out = out.resolve()
    registry = Registry(where, out.parent)
    params = {**config.to_json(), "run": str(out)}
    return lambda: Tracker(registry, name=experiment or config.backend, run=out, params=params)
