"""Several runs of the same arm, each with draws of its own: their mean, and how far they spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]  # one round of one arm, in the form of report.json
Run = Sequence[Row]


@dataclass(frozen=True)
class Point:
    """A round over the runs: labelled frames and the serving model's figure.

    frames, mean: over the runs that have a model then. low, high: of these runs. promoted:
    whether the round's new model serves in all of them.
    """

    frames: float
    mean: float
    low: float
    high: float
    promoted: bool


def serving(row: Row) -> Mapping[str, float] | None:
    """Return the figures of the model that serves after a round."""
    answer = row["challenger"] if row["decision"]["promoted"] else row["champion"]
    return answer if answer is None else dict(answer)


def points_of(runs: Sequence[Run], metric: str = "ap") -> tuple[Point, ...]:
    """Return a point a round, where any run has a model that serves; runs of equal length."""
    return tuple(_points(runs, metric))


def curve_of(runs: Sequence[Run], metric: str = "ap") -> list[tuple[int, float]]:
    """Return labelled frames and the mean figure of what serves, for the rounds that have one."""
    return [(round(point.frames), point.mean) for point in points_of(runs, metric)]


def _points(runs: Sequence[Run], metric: str) -> Iterator[Point]:
    for rows in zip(*runs, strict=True):
        known = [(row, model) for row in rows if (model := serving(row)) is not None]
        if not known:
            continue
        values = [float(model[metric]) for _, model in known]
        yield Point(
            frames=sum(int(row["labelled_frames"]) for row, _ in known) / len(known),
            mean=sum(values) / len(values),
            low=min(values),
            high=max(values),
            promoted=all(row["decision"]["promoted"] for row, _ in known),
        )
