"""Simulated annotation: augmented objects, imprecise extreme points, corrective clicks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.backends.extreme_points.object_crops import ObjectCrop
from trainer.data.images import RGBImage
from trainer.engines.interactor.clicks import CHANNELS, Box, Points, Prompt, channels, region_of
from trainer.engines.interactor.correcting.evidence import correcting_channels
from trainer.evaluation.simulated_annotator import depth

_PIXEL_JITTER_SHARE = (
    0.6  # of the inexact samples: errors in pixels instead of a share of the object
)
_NEAR = (
    0.02  # of a side: border pixels this close to the outermost one also count as extreme points
)


@dataclass(frozen=True)
class ClickAugmentation:
    """How objects and clicks are augmented.

    relative_jitter: largest error of the points as a share of the object's mean side. exact_share:
    share of samples with exact points. click_jitter: largest error of the points in pixels of the
    original image, for most of the other samples: people miss by screen pixels, however small the
    object. boxes, single_click: share of samples with a box instead of points, and with one click
    only. corrected: share with corrective clicks. turn: degrees of rotation. stretch: factor of the
    aspect. colour: strength of brightness, contrast and tint changes.
    """

    relative_jitter: float = 0.1
    exact_share: float = 0.4
    click_jitter: float = 6.0
    boxes: float = 0.06
    single_click: float = 0.04
    corrected: float = 0.3
    turn: float = 25.0
    stretch: float = 1.25
    colour: float = 0.3


@dataclass(frozen=True)
class ClickSample:
    """One training sample: the crop (S, S, 3), its mask (S, S), the clicks in its pixels.

    before: (S, S) 0..1, the mask to be corrected, or None for a first prediction.
    """

    pixels: RGBImage
    mask: NDArray[np.bool_]
    prompt: Prompt
    before: NDArray[np.float32] | None = None

    def seen(self, count: int = CHANNELS) -> NDArray[np.float32]:
        """Return the input of a network with this many channels."""
        if count == CHANNELS:
            return channels(self.pixels, self.prompt)
        return correcting_channels(self.pixels, self.prompt, self.before)


def sample(
    item: ObjectCrop, size: int, how: ClickAugmentation, rng: np.random.Generator
) -> ClickSample:
    """Draw one sample of an object at the network's size."""
    turn = _turn(how, rng)
    prompt = _prompt(item.rim @ turn.T, how, item.scale, rng)
    region = region_of(prompt, (512, 512), room=float(rng.uniform(0.6, 1.6)))
    scale = size / (region[2:] - region[:2])
    linear = turn * scale[:, None]
    shift = -region[:2] * scale
    # Pixel centres lie at halves.
    matrix = np.concatenate([linear, (linear @ [0.5, 0.5] + shift - 0.5)[:, None]], axis=1)
    pixels = cv2.warpAffine(
        item.pixels,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    soft = cv2.warpAffine(
        item.mask.astype(np.uint8) * 255, matrix, (size, size), flags=cv2.INTER_LINEAR
    )
    mask = np.asarray(soft) >= 128
    moved = prompt.moved(region, (size, size))
    if rng.random() < how.corrected:
        moved = _corrected(moved, mask, rng)
    return ClickSample(_tinted(np.asarray(pixels, np.uint8), how.colour, rng), mask, moved)


def _turn(how: ClickAugmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = np.deg2rad(rng.uniform(-how.turn, how.turn)) if rng.random() < 0.5 else 0.0
    if rng.random() < 0.1:
        angle += np.pi / 2
    cos, sin = np.cos(angle), np.sin(angle)
    aspect = np.exp(rng.uniform(-1, 1) * np.log(how.stretch) / 2)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn: NDArray[np.float64] = np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [flip * aspect, 1 / aspect]
    )
    return turn


def _prompt(rim: Points, how: ClickAugmentation, scale: float, rng: np.random.Generator) -> Prompt:
    low, high = rim.min(axis=0), rim.max(axis=0)
    sides = np.maximum(high - low, 1.0)
    jitter = 0.0
    if rng.random() >= how.exact_share:
        jitter = float(rng.uniform() ** 1.5 * how.relative_jitter * sides.mean())
        if how.click_jitter and rng.random() < _PIXEL_JITTER_SHARE:
            # Beyond a third of the object the clicks become ambiguous.
            pixels = float(rng.uniform() ** 0.5) * how.click_jitter
            jitter = min(pixels * scale, float(sides.mean()) / 3)
    none = np.zeros((0, 2))
    kind = rng.random()
    if kind < how.single_click:
        inner = rim[rng.integers(len(rim))] * 0.5 + rim.mean(axis=0) * 0.5
        return Prompt(none, inner[None], none, None)
    if kind < how.single_click + how.boxes:
        box = np.concatenate([low - 0.5, high + 0.5]) + rng.uniform(-jitter, jitter, 4)
        return Prompt(none, none, none, _ordered(box))
    extremes = []
    for axis, side in ((0, low), (1, low), (0, high), (1, high)):
        near = np.abs(rim[:, axis] - side[axis]) <= _NEAR * sides[axis] + 0.01
        extremes.append(rim[rng.choice(np.flatnonzero(near))])
    angle, reach = rng.uniform(0, 2 * np.pi, 4), jitter * np.sqrt(rng.uniform(size=4))
    points = np.stack(extremes) + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    order = [int(n) for n in (*points.argmin(axis=0), *points.argmax(axis=0))]
    inside = np.delete(points, sorted(set(order)), axis=0)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return Prompt(points[order], inside, none, box)


def _corrected(prompt: Prompt, mask: NDArray[np.bool_], rng: np.random.Generator) -> Prompt:
    """Add clicks where a naive guess errs: the quadrilateral, the box or an empty mask."""
    guess: NDArray[np.uint8] = np.zeros(mask.shape, np.uint8)
    if len(prompt.extremes) and rng.random() < 0.6:
        cv2.fillConvexPoly(guess, np.round(prompt.extremes).astype(np.int32), 1)
    elif prompt.box is not None:
        x1, y1, x2, y2 = (int(v) for v in np.clip(prompt.box, 0, len(mask)))
        guess[y1:y2, x1:x2] = 1
    inside, outside = list(prompt.inside), list(prompt.outside)
    for _ in range(int(rng.integers(1, 4))):
        positive = bool(rng.random() < 0.5)
        wrong = mask & (guess == 0) if positive else (guess > 0) & ~mask
        if not wrong.any():
            wrong = mask if positive else ~mask
            if not wrong.any():
                continue
        deep = depth(wrong)
        ys, xs = np.nonzero(deep >= rng.uniform(0.3, 1.0) * deep.max())
        pick = int(rng.integers(len(ys)))
        (inside if positive else outside).append(np.array([xs[pick] + 0.5, ys[pick] + 0.5]))
    return Prompt(
        prompt.extremes, np.reshape(inside, (-1, 2)), np.reshape(outside, (-1, 2)), prompt.box
    )


def _ordered(box: Box) -> Box:
    return np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])


def _tinted(pixels: RGBImage, strength: float, rng: np.random.Generator) -> RGBImage:
    gain = np.exp(rng.uniform(-strength, strength) + rng.uniform(-0.3, 0.3, 3) * strength)
    shift = rng.uniform(-strength, strength) * 50
    table = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip((table - 118) * gain + 118 + shift, 0, 255).astype(np.uint8)
    tinted = np.stack([table[:, n][pixels[..., n]] for n in range(3)], axis=-1)
    if rng.random() < 0.1:
        tinted = np.repeat(tinted.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    return tinted
