"""Samples of corrections: predicted or corrupted masks, and simulated corrective clicks.

Iterative training as in RITM (Sofiiuk et al., 2022): the network predicts a mask, a click is
simulated where it errs, and the network is trained on the mask and the click together.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.backends.extreme_points.click_samples import ClickSample
from trainer.engines.interactor.clicks import Prompt
from trainer.evaluation.simulated_annotator import depth

Share = NDArray[np.float32]
Bitmap = NDArray[np.bool_]

_WITHOUT_CLICK = (
    0.3  # of the predictions: fed back without a click, as a first prediction is served
)
_BINARY = 0.6  # of the previous masks: binarised, as people see them
_CLICKS_KEPT = 0.5  # of the corrupted masks: some earlier clicks are already satisfied


def with_correction(one: ClickSample, share: Share, rng: np.random.Generator) -> ClickSample:
    """Return the sample with the prediction (S, S) 0..1 as previous mask, mostly with a click."""
    before = previous_mask(share, rng)
    if rng.random() < _WITHOUT_CLICK:
        return dataclasses.replace(one, before=before)
    prompt = _clicked(one.prompt, one.mask, share > 0.5, rng)
    return dataclasses.replace(one, before=before, prompt=prompt)


def with_corrupted_mask(one: ClickSample, rng: np.random.Generator) -> ClickSample:
    """Return the sample with a corrupted previous mask and clicks that correct it."""
    wrong = _corrupt(one.mask, rng)
    prompt = one.prompt
    if rng.random() < _CLICKS_KEPT:
        for _ in range(int(rng.integers(1, 4))):
            prompt = _placed(prompt, one.mask & wrong, rng, positive=True, least=0.3)
            prompt = _placed(prompt, ~one.mask & ~wrong, rng, positive=False, least=0.1)
    for _ in range(int(rng.integers(1, 3))):
        prompt = _clicked(prompt, one.mask, wrong, rng)
    soft = cv2.GaussianBlur(wrong.astype(np.float32), (0, 0), float(rng.uniform(0.5, 2.0)))
    return dataclasses.replace(
        one, before=previous_mask(np.asarray(soft, np.float32), rng), prompt=prompt
    )


def previous_mask(share: Share, rng: np.random.Generator) -> Share:
    """Return a previous mask as the network may receive it: soft, or binarised."""
    return share if rng.random() >= _BINARY else (share > 0.5).astype(np.float32)


def _clicked(prompt: Prompt, target: Bitmap, found: Bitmap, rng: np.random.Generator) -> Prompt:
    """Add a click deep in the largest error, or sometimes in the largest of the other sign."""
    errors = {True: target & ~found, False: found & ~target}
    deepest = {
        positive: float(depth(wrong).max()) if wrong.any() else 0.0
        for positive, wrong in errors.items()
    }
    positive = deepest[True] >= deepest[False]
    if rng.random() < 0.2:
        positive = not positive
    return _placed(prompt, errors[positive], rng, positive=positive, least=0.6)


def _placed(
    prompt: Prompt, where: Bitmap, rng: np.random.Generator, *, positive: bool, least: float
) -> Prompt:
    """Add a click in a region, at least `least` of its maximum depth; none in an empty region."""
    if not where.any():
        return prompt
    deep = depth(where)
    top = float(deep.max())
    ys, xs = np.nonzero(deep >= rng.uniform(least, 1.0) * top)
    pick = int(rng.integers(len(ys)))
    name = "inside" if positive else "outside"
    click = np.array([[xs[pick] + rng.uniform(), ys[pick] + rng.uniform()]])
    return dataclasses.replace(
        prompt, **{name: np.concatenate([getattr(prompt, name).reshape(-1, 2), click])}
    )


def _corrupt(mask: Bitmap, rng: np.random.Generator) -> Bitmap:
    """Return the mask with missing and superfluous parts, like a network's errors."""
    found = mask.astype(np.uint8)
    side = float(np.sqrt(max(1.0, float(mask.sum()))))
    if rng.random() < 0.3:
        reach = max(1, round(side * float(rng.uniform(0.01, 0.08))))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
        how = (cv2.MORPH_ERODE, cv2.MORPH_DILATE, cv2.MORPH_OPEN, cv2.MORPH_CLOSE)
        found = np.asarray(cv2.morphologyEx(found, how[int(rng.integers(4))], kernel), np.uint8)
    edge = np.asarray(cv2.morphologyEx(found, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    ys, xs = np.nonzero(edge)
    if not len(ys):
        return found > 0
    for _ in range(int(rng.integers(1, 4))):
        pick = int(rng.integers(len(ys)))
        axes = tuple(max(1, round(side * float(v))) for v in rng.uniform(0.05, 0.35, 2))
        turn = float(rng.uniform(0, 180))
        value = int(rng.random() < 0.5)
        cv2.ellipse(found, (int(xs[pick]), int(ys[pick])), axes, turn, 0, 360, value, -1)
    return found > 0
