"""How a training goes: its loss, AP and learning rate over time, read from the run's events."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.events import EVENTS

_RUNS = 32  # runs remembered
_POINTS = 240  # of a curve that is drawn
LOSS, AP, RATE = "loss", "ap", "lr"


@dataclass(frozen=True)
class Series:
    """A figure over the steps of its stage. points: (share of the steps 0..1, value)."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float | None:
        """The newest value."""
        return self.points[-1][1] if self.points else None


@dataclass(frozen=True)
class FitProgress:
    """What a fit told so far. picture: sample predictions, None while there are none."""

    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    loss: Series = Series(LOSS, ())
    ap: Series = Series(AP, ())
    rate: Series = Series(RATE, ())
    picture: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Read:
    place: int = 0
    last: Mapping[str, Any] = field(default_factory=dict)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    picture: str | None = None
    notes: list[str] = field(default_factory=list)


class FitReader:
    """Reads the events of runs; of each only what is new since the last look."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Path, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, run: Path) -> FitProgress:
        """Return how far a run is; nothing yet for one that has not begun."""
        with self._lock:
            held = self._runs.setdefault(run, _Read())
            self._runs.move_to_end(run)
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)
            _read_on(run / EVENTS, held)
            picture = _picture(run, held.picture)
            series = {
                name: Series(name, _thinned(held.series.get(name, ()))) for name in (LOSS, AP, RATE)
            }
            return FitProgress(
                stage=str(held.last.get("stage") or ""),
                done=int(held.last.get("done") or 0),
                total=int(held.last.get("total") or 0),
                seconds_left=held.last.get("seconds_left"),
                loss=series[LOSS],
                ap=series[AP],
                rate=series[RATE],
                picture=picture,
                notes=tuple(held.notes[-5:]),
            )


def _read_on(path: Path, held: _Read) -> None:
    try:
        if path.stat().st_size < held.place:  # another run took the folder
            held.__init__()  # type: ignore[misc]
        with path.open("rb") as file:
            file.seek(held.place)
            whole, newline, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return
    held.place += len(whole) + len(newline)
    for line in whole.split(b"\n"):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            _take(event, held)


def _take(event: Mapping[str, Any], held: _Read) -> None:
    kind = event.get("event")
    if kind == "note":
        held.notes.append(str(event.get("text") or ""))
    if kind != "progress":
        return
    held.last = event
    held.picture = event.get("picture") or held.picture
    total = float(event.get("total") or 0)
    share = float(event.get("done") or 0) / total if total else 0.0
    for name, value in (event.get("figures") or {}).items():
        if name in (LOSS, AP, RATE) and isinstance(value, (int, float)):
            points = held.series.setdefault(name, [])
            points.append((len(points) if name == AP else share, float(value)))


def _thinned(points: Any) -> tuple[tuple[float, float], ...]:
    """Return so many points as a chart can show, the last one among them."""
    step = max(1, len(points) // _POINTS)
    return tuple(points[::-step][::-1])


def _picture(run: Path, named: str | None) -> Path | None:
    """Return the picture inside the run's folder; a path that leads elsewhere is none."""
    if named is None:
        return None
    path = (run / named).resolve()
    return path if path.is_relative_to(run.resolve()) and path.is_file() else None
