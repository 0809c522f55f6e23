"""What turns clicks into a mask: ours, and the simple ones it must beat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from serverless.wire.outline import redrawn_mask
from serverless.wire.requests import InteractorRequest
from tests.bench.interacting.objects import Bitmap, Points, Target
from trainer.bundles.bundle import read_bundle
from trainer.detections import Mask
from trainer.engines.interactor.extreme_points import ExtremePoints, load

# (target, positive clicks, negative clicks) → mask (H, W). The first four positive are extreme.
Method = Callable[[Target, Points, Points], Bitmap]
Estimating = Callable[[Target, Points, Points], tuple[Bitmap, float]]

_SIDE = 256  # pixels, of GrabCut's picture: at full size it takes seconds
_ROUNDS = 4


def ours(bundle: Path, *, raw: bool = False) -> Method:
    """Return a bundle of extreme_points as the function answers: redrawn by its polygon, or raw."""
    answer = estimated(bundle, raw=raw)
    return lambda target, positive, negative: answer(target, positive, negative)[0]


def estimated(bundle: Path, *, raw: bool = False) -> Estimating:
    """Return the same with the IoU that the model thinks its mask has."""
    engine = load(read_bundle(bundle), threads=1)

    def answer(target: Target, positive: Points, negative: Points) -> tuple[Bitmap, float]:
        return _drawn(engine, target, positive, negative, None, raw=raw)

    return answer


def boxed(bundle: Path) -> Method:
    """Return ours by the box of the first four points alone, as a person draws it."""
    engine = load(read_bundle(bundle), threads=1)

    def answer(target: Target, positive: Points, negative: Points) -> Bitmap:
        low, high = np.floor(positive[:4].min(axis=0)), np.floor(positive[:4].max(axis=0)) + 1
        box = np.concatenate([low, high])
        return _drawn(engine, target, positive[4:], negative, box, raw=False)[0]

    return answer


def labelled(method: Method) -> Method:
    """Return a method's answers without the pixels that nobody labelled."""

    def answer(target: Target, positive: Points, negative: Points) -> Bitmap:
        found = method(target, positive, negative)
        return found if target.unlabelled is None else found & ~target.unlabelled

    return answer


def _drawn(
    engine: ExtremePoints,
    target: Target,
    positive: Points,
    negative: Points,
    box: Points | None,
    *,
    raw: bool,
) -> tuple[Bitmap, float]:
    size = (target.mask.shape[0], target.mask.shape[1])
    found = engine.candidate(target.pixels, positive, negative, box)
    mask = found.mask
    if not raw:
        mask = redrawn_mask(found, InteractorRequest(b"", positive, negative, box, None), size)
    return full(mask, size), found.confidence


def quadrilateral(target: Target, positive: Points, _negative: Points) -> Bitmap:
    """Return what lies between the four points."""
    canvas = np.zeros(target.mask.shape, np.uint8)
    cv2.fillPoly(canvas, [np.floor(positive[:4]).astype(np.int32)], 1)
    return canvas > 0


def ellipse(target: Target, positive: Points, _negative: Points) -> Bitmap:
    """Return the ellipse in the box of the four points."""
    low, high = positive[:4].min(axis=0), positive[:4].max(axis=0)
    y, x = np.ogrid[: target.mask.shape[0], : target.mask.shape[1]]
    centre, reach = (low + high) / 2, (high - low) / 2 + 0.5
    away = ((x + 0.5 - centre[0]) / reach[0]) ** 2 + ((y + 0.5 - centre[1]) / reach[1]) ** 2
    return np.asarray(away <= 1, np.bool_)


def grabcut(target: Target, positive: Points, negative: Points) -> Bitmap:
    """Return OpenCV's GrabCut, started from the four points: outside their box is background."""
    height, width = target.mask.shape
    low, high = positive[:4].min(axis=0), positive[:4].max(axis=0)
    room = 0.3 * (high - low) + 4
    left, top = np.maximum(np.floor(low - room), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(high + room), [width, height]).astype(int).tolist()
    part = target.pixels[top:bottom, left:right, ::-1]
    factor = min(1.0, _SIDE / max(part.shape[:2]))
    size = max(2, round(part.shape[1] * factor)), max(2, round(part.shape[0] * factor))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / part.shape[1], size[1] / part.shape[0]])

    def place(points: Points) -> Points:
        moved = np.floor((points - [left, top]) * scale)
        return np.clip(moved, 0, [size[0] - 1, size[1] - 1])

    marks = np.full((size[1], size[0]), cv2.GC_BGD, np.uint8)
    (x1, y1), (x2, y2) = place(np.stack([low, high])).astype(int)
    marks[y1 : y2 + 1, x1 : x2 + 1] = cv2.GC_PR_BGD
    cv2.fillPoly(marks, [place(positive[:4]).astype(np.int32)], int(cv2.GC_PR_FGD))
    for points, value in ((positive, cv2.GC_FGD), (negative, cv2.GC_BGD)):
        for x, y in place(points).astype(int):
            cv2.circle(marks, (int(x), int(y)), 2, int(value), -1)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, marks, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = ((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)).astype(np.float32)
    grown = cv2.resize(found, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR) > 0.5
    return full(Mask(np.asarray(grown), left, top), (height, width))


def sam(weights: Path) -> Method:
    """Return a SAM of ultralytics, prompted by the box of the four points and all clicks."""
    from ultralytics import SAM

    model = SAM(str(weights))

    def answer(target: Target, positive: Points, negative: Points) -> Bitmap:
        points = np.concatenate([positive, negative])
        labels = [1] * len(positive) + [0] * len(negative)
        box = np.concatenate([positive[:4].min(axis=0), positive[:4].max(axis=0)])
        (found,) = model.predict(
            target.pixels[..., ::-1],
            bboxes=box[None],
            points=[points.tolist()],
            labels=[labels],
            verbose=False,
        )
        return np.asarray(found.masks.data[0].cpu().numpy() > 0, np.bool_)

    return answer


def full(mask: Mask, size: tuple[int, int]) -> Bitmap:
    """Return a mask over the full frame."""
    frame = np.zeros(size, np.bool_)
    height, width = mask.bitmap.shape
    frame[mask.top : mask.top + height, mask.left : mask.left + width] = mask.bitmap
    return frame
