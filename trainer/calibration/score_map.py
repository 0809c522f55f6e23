"""The map from a network's score to the probability that a detection is right, per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle, Card
from trainer.errors import BundleError, ConfigError

CALIBRATION = "calibration"  # the key in card.extra
EDGE = 13.8  # logits are clipped to it: a score of one in a million
_Float = NDArray[np.float64]


def logit(scores: Any) -> _Float:
    """Return the log odds of scores in 0..1, clipped to -EDGE..EDGE."""
    least = 1 / (1 + np.exp(EDGE))
    inside = np.clip(np.asarray(scores, np.float64), least, 1 - least)
    return np.asarray(np.clip(np.log(inside / (1 - inside)), -EDGE, EDGE))


def expit(logits: Any) -> _Float:
    """Return the scores of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(logits, np.float64))))


@dataclass(frozen=True)
class ScoreMap:
    """A strictly rising map of scores: piecewise linear between knots, in log odds.

    raw, right: log odds of the network's score, and of the probability that such a detection is
    right; both strictly rising, raw from -EDGE to EDGE. method: "beta" or "isotonic", see
    trainer.calibration.curves. answers, hits: detections it was fitted on, and those right at IoU
    0.5. fine: hits that are also right at IoU 0.8, which people do not correct. Raises ConfigError
    when a knot is out of order.
    """

    raw: tuple[float, ...]
    right: tuple[float, ...]
    method: str
    answers: int
    hits: int
    fine: int

    def __post_init__(self) -> None:
        raw, right = np.array(self.raw, float), np.array(self.right, float)
        faults = []
        if len(raw) != len(right) or len(raw) < 2:
            faults.append(
                f"calibration: {len(raw)} and {len(right)} knots; expected equal numbers, 2 or more"
            )
        elif not np.isfinite(raw).all() or not np.isfinite(right).all():
            faults.append("calibration: a knot is not finite")
        elif (np.diff(raw) <= 0).any() or (np.diff(right) <= 0).any():
            faults.append("calibration: the knots must rise strictly, so that the order is kept")
        if faults:
            raise ConfigError(faults)

    def __call__(self, scores: Any) -> _Float:
        """Return the probability of being right for network scores of any shape."""
        return expit(np.interp(logit(scores), self.raw, self.right))

    def inverse(self, probabilities: Any) -> _Float:
        """Return the network scores that have these probabilities of being right."""
        return expit(np.interp(logit(probabilities), self.right, self.raw))


@dataclass(frozen=True)
class ScoreMaps:
    """The calibration of a model's scores.

    pooled: of all classes together. classes: class name → its own map, for classes with enough
    detections. frames: number of frames it was fitted on. before, after: expected calibration error
    on these frames, of raw and of mapped scores, each frame mapped by a map fitted to the other
    frames; None if there are too few detections.
    """

    pooled: ScoreMap
    classes: Mapping[str, ScoreMap] = field(default_factory=dict)
    frames: int = 0
    before: float | None = None
    after: float | None = None

    def of(self, class_name: str) -> ScoreMap:
        """Return the map of a class: its own, else the pooled one."""
        return self.classes.get(class_name, self.pooled)

    @property
    def note(self) -> str:
        """Return a summary, as a clause."""
        own = ", ".join(f"{name} by {one.method}" for name, one in self.classes.items())
        how = f"own curves of {own}; " if own else ""
        text = (
            f"{how}all classes by {self.pooled.method}, from {self.pooled.answers} detections on "
        )
        text += f"{self.frames} frames of the val part"
        if self.before is None or self.after is None:
            return text
        return f"{text}; calibration error there {self.before:.3f} before, {self.after:.3f} after"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"classes": {name: asdict(m) for name, m in self.classes.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ScoreMaps:
        """Read what to_json wrote; ConfigError for an invalid calibration."""
        try:
            return cls(
                pooled=_map(values["pooled"]),
                classes={name: _map(m) for name, m in values["classes"].items()},
                frames=int(values["frames"]),
                before=values["before"],
                after=values["after"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError([f"calibration: {type(error).__name__}: {error}"]) from error


def maps_of(card: Card) -> ScoreMaps | None:
    """Return the calibration in a card, None when it has none.

    Raises ConfigError for an invalid calibration.
    """
    values = card.extra.get(CALIBRATION)
    return None if values is None else ScoreMaps.from_json(values)


def maps_of_bundle(bundle: Bundle) -> ScoreMaps | None:
    """Return the calibration of a bundle; BundleError for an invalid one."""
    try:
        return maps_of(bundle.card)
    except ConfigError as error:
        raise BundleError(bundle.path, "a valid calibration", str(error)) from error


def score_map(
    raw: Sequence[float] | _Float,
    right: Sequence[float] | _Float,
    *,
    method: str,
    answers: int,
    hits: int,
    fine: int,
) -> ScoreMap:
    """Build a map with strictly rising knots, however flat the curve is; rounded to 4 digits."""
    xs = np.round(np.asarray(raw, float), 4)
    ys = np.round(np.clip(np.asarray(right, float), -2 * EDGE, 2 * EDGE), 4)
    step = 1e-3  # in log odds: negligible, but enough to keep the order
    ys = np.maximum.accumulate(ys - step * np.arange(len(ys))) + step * np.arange(len(ys))
    points = [tuple(float(round(v, 4)) for v in values) for values in (xs, ys)]
    return ScoreMap(
        raw=points[0], right=points[1], method=method, answers=answers, hits=hits, fine=fine
    )


def _map(values: Mapping[str, Any]) -> ScoreMap:
    return ScoreMap(
        raw=tuple(float(v) for v in values["raw"]),
        right=tuple(float(v) for v in values["right"]),
        method=str(values["method"]),
        answers=int(values["answers"]),
        hits=int(values["hits"]),
        fine=int(values["fine"]),
    )
