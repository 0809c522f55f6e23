"""The models at hand for looking: loaded once, asked one frame at a time, answers remembered."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from cvat_bridge.annotate.inference import FrameInference, InferenceRunner, runner
from cvat_bridge.annotate.looking.look import Look, Target, infer, look_of, target
from cvat_bridge.annotate.looking.take import Taken, take_all, take_one
from cvat_bridge.annotate.model import ChosenModel, choose_model
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.ledger import Ledger
from cvat_bridge.masks.making import Segmenter, segmenter_of
from trainer.registry.registry import Registry

FRESH_SECONDS = 20.0  # that a task's jobs and labels are believed
_RUNNERS, _TARGETS, _SEEN = 2, 64, 256
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True)
class Pointed:
    """What is looked at: a model by its reference (see choose_model), a task, its mapping."""

    model: str
    task_id: int
    mapped: tuple[tuple[str, str], ...] = ()


class Looker:
    """Looks for one project. store: of the function host. locks: see annotate.

    Safe to call from several threads; models run one frame at a time.
    """

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        registry: Registry,
        *,
        key: str,
        store: Path,
        locks: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway, self._ledger, self._registry = gateway, ledger, registry
        self._key, self._store, self._locks, self._clock = key, store, locks, clock
        self._runners: OrderedDict[str, InferenceRunner] = OrderedDict()
        self._targets: OrderedDict[Pointed, tuple[float, Target]] = OrderedDict()
        self._seen: OrderedDict[tuple[str, Pointed, int], FrameInference] = OrderedDict()
        self._lock, self._running = threading.RLock(), threading.Lock()
        self._segmenters: dict[str | None, Segmenter] = {}

    def choose(self, reference: str) -> ChosenModel:
        """Find a model; see choose_model."""
        return choose_model(
            reference,
            store=self._store,
            registry=lambda: self._registry,
            project_key=self._key,
        )

    def runner(self, model: ChosenModel) -> InferenceRunner:
        """Load a model, or give the one that is loaded."""
        with self._lock:
            return _kept(
                self._runners,
                model.version,
                lambda: runner(model.bundle, batch=2, segmenter=self._segmenter),
                _RUNNERS,
            )

    def target(self, pointed: Pointed) -> Target:
        """Read a task for a model. Raises what `target` raises."""
        now = self._clock()
        with self._lock:
            known = self._targets.get(pointed)
        if known is not None and now - known[0] < FRESH_SECONDS:
            return known[1]
        model = self.choose(pointed.model)
        found = target(self._gateway, self._ledger, model, pointed.task_id, dict(pointed.mapped))
        with self._lock:
            self._targets[pointed] = (now, found)
            while len(self._targets) > _TARGETS:
                self._targets.popitem(last=False)
        return found

    def look(self, pointed: Pointed, frame: int) -> Look:
        """Look at a frame. Raises GatewayError, BridgeError, BundleError."""
        where = self.target(pointed)
        return look_of(self._gateway, where, self._ask(pointed, where, frame))

    def take_one(self, pointed: Pointed, frame: int, key: str) -> Taken:
        """Write one candidate of a frame."""
        where = self.target(pointed)
        seen = self._ask(pointed, where, frame)
        return take_one(self._gateway, where, seen, key, locks=self._locks)

    def take_all(self, pointed: Pointed, frame: int, min_score: float) -> Taken:
        """Write every candidate of a frame from a score on."""
        where = self.target(pointed)
        seen = self._ask(pointed, where, frame)
        return take_all(self._gateway, self._ledger, where, seen, min_score, locks=self._locks)

    def _ask(self, pointed: Pointed, where: Target, frame: int) -> FrameInference:
        place = (where.model.version, pointed, frame)
        with self._lock:
            known = self._seen.get(place)
        if known is not None:
            return known
        with self._running:  # a queue, so that many looks do not fight for the cores
            found = infer(self._gateway, where, self.runner(where.model), frame)
        with self._lock:
            return _kept(self._seen, place, lambda: found, _SEEN)

    def _segmenter(self, key: str | None) -> Segmenter:
        make = partial(segmenter_of, self._store, key, threads=1)
        return self._segmenters.setdefault(key, make())


def _kept(held: OrderedDict[K, T], key: K, make: Callable[[], T], most: int) -> T:
    """Return what is held under a key, made where it is not; the longest unused goes first."""
    if key not in held:
        held[key] = make()
    held.move_to_end(key)
    while len(held) > most:
        held.popitem(last=False)
    return held[key]
