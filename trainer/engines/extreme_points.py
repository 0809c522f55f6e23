"""Run a bundle of the extreme_points backend: clicks in, a mask with the image's edges out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundle import Bundle
from trainer.detections import Mask
from trainer.engines.click_laws import obey
from trainer.engines.clicks import (
    CHANNELS,
    Box,
    Points,
    Prompt,
    channels,
    region_of,
    understand,
)
from trainer.engines.image_cache import DEFAULT_BYTES, ImageCache
from trainer.engines.looks import Look, Looks, Window
from trainer.engines.runtime import open_session
from trainer.engines.upsample import enlarge, upsample
from trainer.errors import BundleError, PromptError
from trainer.images import RGBImage
from trainer.interactor import Candidate

MODEL = "model.onnx"
_PULL = 0.35  # of the share, at a corrective click: people click where the network errs
_LEAST = np.float32(1e-4)  # of a share: surer is no view
_PULL_WIDTH = 0.1  # of the input's side, to where it fades
# Of `mirrored`, for a box alone: four cost twice as much and give 0.002 IoU more.
_BOX_LOOKS = 2
_BOXES = 8  # of one run of the network: more are no faster, and take memory
_NO_CLICKS: Points = np.zeros((0, 2))


def load(
    bundle: Bundle, *, threads: int | None = None, cache_bytes: int = DEFAULT_BYTES
) -> ExtremePoints:
    """Load the bundle; BundleError when its network is another one's.

    cache_bytes: bound on the decoded images kept between clicks.
    """
    session = open_session(bundle.file(MODEL), threads=threads)
    found = [(i.name, tuple(i.shape[1:])) for i in session.get_inputs()]
    height, width = bundle.card.input_size
    if found != [("seen", (CHANNELS, height, width))]:
        raise BundleError(
            bundle.path / MODEL, f"an input seen (batch, {CHANNELS}, {height}, {width})", str(found)
        )
    return ExtremePoints(bundle, session, ImageCache(cache_bytes))


@dataclass(frozen=True)
class _View:
    """What is looked at for one prompt. near: the prompt in the crop. seen: (CHANNELS, H, W)."""

    prompt: Prompt
    near: Prompt
    region: Box
    window: Window
    look: Look
    seen: NDArray[np.float32]


class ExtremePoints:
    """The Interactor and BoxSegmenter of one bundle; see trainer.interactor."""

    def __init__(self, bundle: Bundle, session: Any, cache: ImageCache) -> None:
        self.size = bundle.card.input_size
        self.cache = cache
        self._looks = Looks(self.size)
        self._session = session

    def segment(
        self,
        image: bytes,
        *,
        positive: Points,
        negative: Points,
        box: Box | None,
    ) -> tuple[list[Candidate], tuple[int, int]]:
        """Answer the clicks so far; see Interactor.segment."""
        pixels = self.cache.decode(image)
        size = (pixels.shape[0], pixels.shape[1])
        return [self.candidate(pixels, positive, negative, box)], size

    def candidate(
        self, pixels: RGBImage, positive: Points, negative: Points, box: Box | None
    ) -> Candidate:
        """Answer clicks on decoded pixels (H, W, 3)."""
        view = self._view(pixels, positive, negative, box)
        seen, prompt = view.seen, view.prompt
        # Mirror images make a first answer better; a correction is followed as well by one look.
        corrected = len(prompt.inside) or len(prompt.outside)
        if corrected:
            looks = seen[None]
        else:
            looks = mirrored(seen) if len(prompt.extremes) else mirrored(seen)[:_BOX_LOOKS]
        return self._drawn(view, *self._answer(looks))

    def segment_boxes(self, pixels: RGBImage, boxes: NDArray[np.floating[Any]]) -> list[Mask]:
        """Answer boxes as `candidate` answers each, in few runs; see BoxSegmenter."""
        height, width = pixels.shape[:2]
        masks = [Mask(np.zeros((0, 0), np.bool_), 0, 0)] * len(boxes)
        inside = np.clip(np.asarray(boxes, np.float64), 0, [width, height, width, height])
        rows = np.flatnonzero((inside[:, 2:] - inside[:, :2] >= 1).all(axis=1)).tolist()
        for start in range(0, len(rows), _BOXES):
            piece = rows[start : start + _BOXES]
            views = [self._view(pixels, _NO_CLICKS, _NO_CLICKS, inside[row]) for row in piece]
            seen = np.concatenate([mirrored(view.seen)[:_BOX_LOOKS] for view in views])
            shares, _ = self._session.run(None, {"seen": seen})
            for place, (row, view) in enumerate(zip(piece, views, strict=True)):
                share = agreed(shares[_BOX_LOOKS * place : _BOX_LOOKS * (place + 1)])
                masks[row] = self._drawn(view, share, 0.0).mask
        return masks

    def _view(self, pixels: RGBImage, positive: Points, negative: Points, box: Box | None) -> _View:
        size = (pixels.shape[0], pixels.shape[1])
        prompt = understand(*check_clicks(positive, negative, box, size))
        region = region_of(prompt, size)
        near = prompt.moved(region, self.size)
        window = _window(prompt, region, size)
        look = self._looks.at(pixels, region, window)
        return _View(prompt, near, region, window, look, channels(look.crop, near))

    def _drawn(self, view: _View, share: NDArray[np.float32], quality: float) -> Candidate:
        """Give the answer of a share (H, W) of a view, at the image's own pixels."""
        prompt, region, look = view.prompt, view.region, view.look
        left, top, right, bottom = window = view.window
        share = np.clip(share + _pull(view.near, self.size), 0, 1)
        found = upsample(share, look.crop, look.guide, region, window)
        shown = found > min(0.5, 0.5 * float(found.max()))
        whole = bottom - top, right - left
        place = np.array([left, top, right, bottom], np.float64)
        kept = obey(shown, prompt.moved(place, (shown.shape[0], shown.shape[1])))
        if shown.shape != whole:
            kept = obey(enlarge(kept, whole), prompt.moved(place, whole), parts=False)
        return Candidate(Mask(kept, left, top), quality)

    def _answer(self, seen: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Return the share (H, W) and the quality of one view (1, C, H, W), or of `mirrored`."""
        shares, qualities = self._session.run(None, {"seen": seen})
        share = shares[0] if len(shares) == 1 else agreed(shares)
        return share, float(np.clip(qualities.mean(), 0, 1))


def mirrored(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (C, H, W) as it is, from right to left, upside down and both, (4, C, H, W)."""
    return np.stack([seen, seen[..., ::-1], seen[:, ::-1], seen[:, ::-1, ::-1]])


def agreed(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share (H, W) that the answers to the first of `mirrored` agree on.

    It is the mean of their logits. shares: (1 to 4, H, W).
    """
    turns = (np.s_[:, :], np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1])
    turned = [share[turn] for share, turn in zip(shares, turns, strict=False)]
    logits = [np.log(s / (1 - s)) for s in (np.clip(t, _LEAST, 1 - _LEAST) for t in turned)]
    mean = np.mean(logits, axis=0)
    return np.asarray(1 / (1 + np.exp(-mean)), np.float32)


def check_clicks(
    positive: Points, negative: Points, box: Box | None, size: tuple[int, int]
) -> tuple[Points, Points, Box | None]:
    """Return the clicks that count in an image of (height, width), positive ones moved onto it.

    Raises PromptError for clicks that mean nothing: none at all, all of them outside of the
    image, or one that is both positive and negative.
    """
    height, width = size
    if not len(positive) and box is None:
        raise PromptError("click on the object at least once, or draw a box around it")
    place = f"the image of {width} x {height} pixels"
    far = _outside(positive, size)
    if box is not None:
        box = np.clip(box, 0, [width, height, width, height])
        if (box[2:] - box[:2]).min() < 1:
            raise PromptError(f"the box has less than a pixel inside {place}")
    elif far.all():
        raise PromptError(f"all positive clicks lie outside of {place}: {positive.tolist()}")
    # A little less than the side: the rim itself belongs to the last pixel.
    positive = np.clip(positive, 0, [width - 1e-3, height - 1e-3])
    negative = negative[~_outside(negative, size)]
    both = {tuple(p) for p in np.floor(positive)} & {tuple(p) for p in np.floor(negative)}
    if both:
        x, y = min(both)
        raise PromptError(f"pixel ({x:g}, {y:g}) is clicked as inside and as outside; undo one")
    return positive, negative, box


def _pull(prompt: Prompt, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return what corrective clicks add to the share around them, (height, width)."""
    height, width = size
    x = np.arange(width, dtype=np.float32) + np.float32(0.5)
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5))[:, None]
    spread = 2 * (_PULL_WIDTH * math.sqrt(height * width)) ** 2
    added = np.zeros(size, np.float32)
    for clicks, sign in ((prompt.inside, 1.0), (prompt.outside, -1.0)):
        for cx, cy in clicks.tolist():
            added += sign * _PULL * np.exp(((x - cx) ** 2 + (y - cy) ** 2) / -spread)
    return added


def _outside(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((points < 0) | (points > [size[1], size[0]])).any(axis=1), np.bool_)


def _window(prompt: Prompt, region: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the pixels that the answer may hold."""
    if len(prompt.extremes) and prompt.box is not None:
        region = np.concatenate([np.floor(prompt.box[:2]), np.floor(prompt.box[2:]) + 1])
    left, top = (int(v) for v in np.clip(np.floor(region[:2]), 0, [size[1] - 1, size[0] - 1]))
    right, bottom = (int(v) for v in np.clip(np.ceil(region[2:]), 1, [size[1], size[0]]))
    return left, top, max(right, left + 1), max(bottom, top + 1)
