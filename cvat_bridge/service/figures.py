"""The service's Prometheus figures: looks, rounds, their steps, what waits, how good a model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STEP_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
_GAUGES = {
    "round": "Number of the newest round, 0 before the first",
    "rounds_done": "Rounds that came to their end",
    "round_under_way": "1 while the newest round has not come to its end, else 0",
    "pool_frames": "Frames that nobody has labelled and that may be chosen",
    "labelled_frames": "Frames with finished labels",
    "new_frames": "Frames with finished labels that no fit has used yet",
    "queue_frames": "Ranked frames that people have before them",
}


@dataclass(frozen=True)
class Backlog:
    """What a look at the project found, in frames.

    pool: free to be chosen. labelled: with finished labels. new: of these, those that no fit has
    used. waiting: ranked, and not finished by people yet.
    """

    pool: int
    labelled: int
    new: int
    waiting: int


@dataclass(frozen=True)
class ProjectState:
    """What the records say.

    round: the newest, 0 before the first. done: rounds that came to their end. under_way: whether
    the newest has not. ap: AP 0..1 on the holdout in the newest decision, by "champion" and
    "challenger", where there is one; serving: of the two, that of the model that serves since.
    proposals: pre-annotated objects, by what people did.
    """

    round: int = 0
    done: int = 0
    under_way: bool = False
    ap: Mapping[str, float] = field(default_factory=dict)
    serving: float | None = None
    proposals: Mapping[str, int] = field(default_factory=dict)


class LoopFigures:
    """What Prometheus reads of the loops of a process, by the project's id; no names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.looks = Counter("bridge_looks", "Looks at the facts", ["project"], registry=registry)
        self.failures = Gauge(
            "bridge_failures", "Failed looks in a row", ["project"], registry=registry
        )
        self.last_look = Gauge(
            "bridge_last_look_timestamp_seconds",
            "When the last look ended, in seconds since 1970",
            ["project"],
            registry=registry,
        )
        self.step_seconds = Histogram(
            "bridge_step_seconds",
            "Wall time of the steps of rounds that were done, in seconds",
            ["project", "step"],
            buckets=_STEP_SECONDS,
            registry=registry,
        )
        self.step_failures = Counter(
            "bridge_step_failures",
            "Attempts at a step of a round that failed",
            ["project", "step"],
            registry=registry,
        )
        self.gauges = {
            name: Gauge(f"bridge_{name}", text, ["project"], registry=registry)
            for name, text in _GAUGES.items()
        }
        self.ap = Gauge(
            "bridge_average_precision",
            "AP (0..1) on the holdout in the newest decision; `serving`: of what serves since",
            ["project", "model"],
            registry=registry,
        )
        self.proposals = Gauge(
            "bridge_proposals",
            "Pre-annotated objects in finished jobs, by what people did with them",
            ["project", "outcome"],
            registry=registry,
        )

    def of(self, project: int) -> ProjectFigures:
        """Return those of one project."""
        return ProjectFigures(self, str(project))


@dataclass(frozen=True)
class ProjectFigures:
    """The figures of one project, and how they are told."""

    all: LoopFigures
    project: str

    def looked(self, at: float, failures: int) -> None:
        """Count a look that has ended; at: seconds since 1970. failures: in a row."""
        self.all.looks.labels(self.project).inc()
        self.all.last_look.labels(self.project).set(at)
        self.all.failures.labels(self.project).set(failures)

    def step(self, name: str, seconds: float, failed: bool) -> None:
        """Count an attempt at a step of a round."""
        if failed:
            self.all.step_failures.labels(self.project, name).inc()
        else:
            self.all.step_seconds.labels(self.project, name).observe(seconds)

    def backlog(self, found: Backlog) -> None:
        """Take note of what a look found."""
        self._set("pool_frames", found.pool)
        self._set("labelled_frames", found.labelled)
        self._set("new_frames", found.new)
        self._set("queue_frames", found.waiting)

    def standing(self, found: ProjectState) -> None:
        """Take note of what the records say."""
        self._set("round", found.round)
        self._set("rounds_done", found.done)
        self._set("round_under_way", int(found.under_way))
        known = {**found.ap} | ({} if found.serving is None else {"serving": found.serving})
        for model in ("champion", "challenger", "serving"):
            if model in known:
                self.all.ap.labels(self.project, model).set(known[model])
            else:  # a model that is not there has no AP, rather than its last one
                self.all.ap.remove_by_labels({"project": self.project, "model": model})
        for outcome, count in found.proposals.items():
            self.all.proposals.labels(self.project, outcome).set(count)

    def _set(self, name: str, value: float) -> None:
        self.all.gauges[name].labels(self.project).set(value)
