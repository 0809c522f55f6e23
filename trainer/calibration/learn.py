"""Learn a model's score maps from an evaluation of its raw detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainer.calibration.curves import (
    IDENTITY,
    KNOTS,
    NARROW,
    WIDE,
    BetaCurve,
    beta_curve,
    isotonic_knots,
)
from trainer.calibration.measure import calibration
from trainer.calibration.score_map import ScoreMap, ScoreMaps, score_map
from trainer.scores import IOU_THRESHOLDS, Evaluation, FrameMatches

MIN_DETECTIONS = 30  # with fewer no calibration is learned
OWN_DETECTIONS, OWN_HITS = 100, 25  # minimum for a class to have its own curve
ISOTONIC_DETECTIONS = 1000  # minimum to try an isotonic curve
FINE_IOU = IOU_THRESHOLDS.index(0.8)  # a shape that people do not correct
_FOLDS = 5
_Float = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredDetections:
    """Raw detections of all frames. scores, right, fine, class_ids, frame: (N,)."""

    scores: _Float
    right: NDArray[np.bool_]
    fine: NDArray[np.bool_]
    class_ids: NDArray[np.int64]
    frame: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: NDArray[np.bool_]) -> ScoredDetections:
        return ScoredDetections(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def learn(evaluation: Evaluation) -> ScoreMaps | None:
    """Learn the calibration of raw scores; None with fewer than MIN_DETECTIONS detections.

    evaluation: with the network's raw scores, down to a very low threshold. A class with enough
    detections gets its own curve, regularised towards the pooled one; the others use the pooled
    one.
    """
    detections = scored_detections(evaluation)
    if len(detections) < MIN_DETECTIONS:
        return None
    maps = _maps(detections, evaluation.labels)
    frames = len(evaluation.frames)
    before = calibration(evaluation).error
    after = None
    if frames >= 2:
        after = calibration(_crossed(evaluation, detections)).error
    return replace(maps, frames=frames, before=before, after=after)


def scored_detections(evaluation: Evaluation) -> ScoredDetections:
    """Return the detections that are right or wrong, without those ignored for a crowd."""
    rows = [(n, f, ~f.ignored[:, 0]) for n, f in enumerate(evaluation.frames)]
    return ScoredDetections(
        scores=np.concatenate([np.zeros(0), *(f.scores[k] for _, f, k in rows)]),
        right=_flags([f.matched[k, 0] for _, f, k in rows]),
        fine=_flags([f.matched[k, FINE_IOU] for _, f, k in rows]),
        class_ids=np.concatenate([np.zeros(0, np.int64), *(f.class_ids[k] for _, f, k in rows)]),
        frame=np.concatenate([np.zeros(0, np.int64), *(np.full(k.sum(), n) for n, _, k in rows)]),
    )


def mapped(evaluation: Evaluation, of: Callable[[str], Callable[[_Float], _Float]]) -> Evaluation:
    """Return an evaluation with every score mapped by its class's map."""

    def one(frame: FrameMatches) -> FrameMatches:
        scores = frame.scores.copy()
        for class_id in np.unique(frame.class_ids):
            rows = frame.class_ids == class_id
            scores[rows] = of(evaluation.labels[class_id])(scores[rows])
        return replace(frame, scores=scores)

    return replace(evaluation, frames=tuple(one(frame) for frame in evaluation.frames))


def unmapped(evaluation: Evaluation, maps: ScoreMaps) -> Evaluation:
    """Return an evaluation of calibrated scores with the network's raw scores."""
    return mapped(evaluation, lambda name: maps.of(name).inverse)


def _maps(detections: ScoredDetections, labels: Sequence[str]) -> ScoreMaps:
    pooled, curve = _map(detections, IDENTITY, WIDE)
    classes = {}
    for class_id, name in enumerate(labels):
        own = detections[detections.class_ids == class_id]
        if len(own) >= OWN_DETECTIONS and own.right.sum() >= OWN_HITS:
            classes[name], _ = _map(own, curve, NARROW)
    # With one class, its map and the pooled one are the same; keep the pooled one.
    return ScoreMaps(pooled, {} if len(labels) == 1 else classes)


def _map(
    detections: ScoredDetections, prior: BetaCurve, spread: tuple[float, float, float]
) -> tuple[ScoreMap, BetaCurve]:
    """Learn one map; isotonic only if that predicts unseen frames better."""
    curve = beta_curve(detections.scores, detections.right, prior=prior, spread=spread)
    method, knots = "beta", (KNOTS, curve(KNOTS))
    if (
        len(detections) >= ISOTONIC_DETECTIONS
        and detections.right.any()
        and not detections.right.all()
    ):
        folds = detections.frame % _FOLDS
        losses = np.zeros(2)
        for fold in np.unique(folds):
            seen, new = detections[folds != fold], detections[folds == fold]
            if not len(seen):
                break
            part = beta_curve(seen.scores, seen.right, prior=prior, spread=spread)
            tries = (KNOTS, part(KNOTS)), isotonic_knots(seen.scores, seen.right, part)
            losses += [_loss(_built("", one, seen), new) for one in tries]
        if losses[1] < losses[0]:
            method, knots = "isotonic", isotonic_knots(detections.scores, detections.right, curve)
    return _built(method, knots, detections), curve


def _built(method: str, knots: tuple[_Float, _Float], detections: ScoredDetections) -> ScoreMap:
    hits, fine = int(detections.right.sum()), int(detections.fine.sum())
    return score_map(*knots, method=method, answers=len(detections), hits=hits, fine=fine)


def _loss(tried: ScoreMap, detections: ScoredDetections) -> float:
    """Return the log loss of a map's probabilities on these detections."""
    p = np.clip(tried(detections.scores), 1e-9, 1 - 1e-9)
    return -float(np.where(detections.right, np.log(p), np.log1p(-p)).sum())


def _crossed(evaluation: Evaluation, detections: ScoredDetections) -> Evaluation:
    """Return the evaluation with cross-validated scores: each frame mapped by the others."""
    frames = list(evaluation.frames)
    for fold in range(min(_FOLDS, len(frames))):
        seen = detections[detections.frame % _FOLDS != fold]
        maps = _maps(seen, evaluation.labels)
        part = replace(evaluation, frames=tuple(frames[fold::_FOLDS]))
        frames[fold::_FOLDS] = mapped(part, maps.of).frames
    return replace(evaluation, frames=tuple(frames))


def _flags(parts: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.concatenate([np.zeros(0, np.bool_), *parts])
