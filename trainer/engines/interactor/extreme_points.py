"""Run a bundle of the extreme_points backend: clicks in, an edge-aligned mask out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.detections import Mask
from trainer.engines.interactor.click_constraints import enforce_clicks
from trainer.engines.interactor.clicks import (
    CHANNELS,
    Box,
    Points,
    Prompt,
    channels,
    parse_clicks,
    region_of,
)
from trainer.engines.interactor.correcting.estimate import IouEstimate
from trainer.engines.interactor.correcting.evidence import CORRECTING, correcting_channels
from trainer.engines.interactor.correcting.history import (
    Click,
    ClickHistory,
    Clicks,
    PastAnswer,
    answer_to_correct,
    contradicted_answer,
    last_clear_answer,
)
from trainer.engines.interactor.correcting.merging import (
    merge_correction,
    on_region,
    on_window,
    within_frame,
)
from trainer.engines.interactor.crop_cache import CachedCrop, CropCache, Window
from trainer.engines.interactor.image_cache import DEFAULT_BYTES, ImageCache
from trainer.engines.interactor.upsample import enlarge, upsample
from trainer.engines.runtime import open_session
from trainer.errors import BundleError, PromptError
from trainer.interactor import Candidate

MODEL = "model.onnx"
_PULL = 0.2  # added probability at a corrective click: people click where the network errs
_LEAST = np.float32(1e-4)  # clipping of probabilities
_PULL_WIDTH = 0.1  # of the input's side: width of that addition
_VIEWS = (
    4  # flips, for four points and corrections: with two, one more click in eighty harms the mask
)
# For a box: four cost twice as much and gain 0.002 IoU.
_BOX_VIEWS = 2
_BOXES = 8  # per run of the network: more are not faster and use more memory
_NONE = np.zeros((0, 2))


def load(
    bundle: Bundle, *, threads: int | None = None, cache_bytes: int = DEFAULT_BYTES
) -> ExtremePoints:
    """Load the bundle; BundleError for another network.

    cache_bytes: bound on the decoded images cached between clicks.
    """
    session = open_session(bundle.file(MODEL), threads=threads)
    found = [(i.name, tuple(i.shape[1:])) for i in session.get_inputs()]
    height, width = bundle.card.input_size
    if found not in [[("seen", (count, height, width))] for count in (CHANNELS, CORRECTING)]:
        raise BundleError(
            bundle.path / MODEL,
            f"an input seen (batch, {CHANNELS} or {CORRECTING}, {height}, {width})",
            str(found),
        )
    return ExtremePoints(bundle, session, ImageCache(cache_bytes))


class ExtremePoints:
    """The Interactor and BoxSegmenter of one bundle; see trainer.interactor.

    A network with CORRECTING channels receives the mask that it corrects. A first prediction takes
    one pass: a second pass that corrects the first without a click lost 0.005 IoU on held-out
    objects and doubled the cost. A network with CHANNELS, as in earlier bundles, receives the
    clicks only.
    """

    def __init__(self, bundle: Bundle, session: Any, cache: ImageCache) -> None:
        self.size = bundle.card.input_size
        self.cache = cache
        self._crops = CropCache(self.size)
        self._history = ClickHistory()
        self._session = session
        self._corrects = session.get_inputs()[0].shape[1] == CORRECTING
        self._estimate = IouEstimate.of(bundle.card.extra.get("estimate"))

    def segment(
        self,
        image: bytes,
        *,
        positive: Points,
        negative: Points,
        box: Box | None,
    ) -> tuple[list[Candidate], tuple[int, int]]:
        """Segment by the clicks so far; see Interactor.segment."""
        pixels = self.cache.decode(image)
        size = (pixels.shape[0], pixels.shape[1])
        return [self.candidate(pixels, positive, negative, box)], size

    def candidate(
        self, pixels: RGBImage, positive: Points, negative: Points, box: Box | None
    ) -> Candidate:
        """Segment by clicks on decoded pixels (H, W, 3).

        An earlier prediction on the same pixels is corrected, if the array is read-only.
        """
        answers = self._history.on(pixels)
        try:
            checked = check_clicks(positive, negative, box, (pixels.shape[0], pixels.shape[1]))
        except PromptError:
            # A click that makes no sense does not remove the mask.
            if (shown := contradicted_answer(answers, positive, negative, box)) is not None:
                return shown.candidate
            raise
        clicks = Clicks.of(*checked)
        if (sure := last_clear_answer(answers, clicks)) is not None:
            return sure.candidate
        former = answer_to_correct(answers, clicks)
        if former is not None and former.clicks == clicks:
            return former.candidate
        answer = self._answered(pixels, clicks, parse_clicks(*checked), former)
        self._history.keep(pixels, answer)
        return answer.candidate

    def segment_boxes(self, pixels: RGBImage, boxes: NDArray[np.floating[Any]]) -> list[Mask]:
        """Segment boxes like `candidate` does for each, in few runs; see BoxSegmenter."""
        height, width = pixels.shape[:2]
        masks = [Mask(np.zeros((0, 0), np.bool_), 0, 0)] * len(boxes)
        inside = np.clip(np.asarray(boxes, np.float64), 0, [width, height, width, height])
        rows = np.flatnonzero((inside[:, 2:] - inside[:, :2] >= 1).all(axis=1)).tolist()
        for start in range(0, len(rows), _BOXES):
            piece = rows[start : start + _BOXES]
            crops = [self._view(pixels, parse_clicks(_NONE, _NONE, inside[row])) for row in piece]
            for row, view, share in zip(piece, crops, self._box_shares(crops), strict=True):
                masks[row] = self._drawn(view, share)
        return masks

    def _box_shares(self, crops: Sequence[_View]) -> list[NDArray[np.float32]]:
        """Return the probabilities (H, W) of each crop, all in one run."""
        seen = [mirrored_views(self._seen(view, None))[:_BOX_VIEWS] for view in crops]
        shares, _ = self._session.run(None, {"seen": np.concatenate(seen)})
        return [
            mean_of_views(shares[n : n + _BOX_VIEWS]) for n in range(0, len(shares), _BOX_VIEWS)
        ]

    def _answered(
        self, pixels: RGBImage, clicks: Clicks, prompt: Prompt, former: PastAnswer | None
    ) -> PastAnswer:
        """Segment by valid clicks, as a correction of an earlier prediction if there is one."""
        corrected = len(prompt.inside) or len(prompt.outside)
        if former is None and corrected and (len(prompt.extremes) or prompt.box is not None):
            first = Prompt(prompt.extremes, _NONE, _NONE, prompt.box)
            mask, quality = self._first(pixels, first)
            shown = Candidate(mask, quality, first)
            former = PastAnswer(Clicks((), frozenset(), None), shown, frozenset(), None)
        if former is None:
            mask, quality = self._first(pixels, prompt)
            # A box is imprecise, four points are not.
            frame = prompt.box if len(prompt.extremes) else None
            return PastAnswer(clicks, Candidate(mask, quality, prompt), frozenset(), frame)
        added = set(clicks.positive) - set(former.clicks.positive)
        taken = clicks.negative - former.clicks.negative
        own = prompt if not former.clicks.count else _only_clicks(prompt, added, taken)
        mask, quality = self._correction(pixels, prompt, own, former)
        later = former.corrections | (added if former.clicks.count else set())
        return PastAnswer(clicks, Candidate(mask, quality, prompt), frozenset(later), former.frame)

    def _first(self, pixels: RGBImage, prompt: Prompt) -> tuple[Mask, float]:
        """Return a first prediction and its estimated IoU."""
        view = self._view(pixels, prompt)
        views = _VIEWS if len(prompt.extremes) else _BOX_VIEWS
        share, quality = self._answer(self._seen(view, None), views)
        return self._drawn(view, share), self._estimate.first(quality)

    def _correction(
        self, pixels: RGBImage, prompt: Prompt, new: Prompt, former: PastAnswer
    ) -> tuple[Mask, float]:
        """Return the previous mask corrected by the new clicks, and its estimated IoU."""
        view = self._view(pixels, prompt)
        old = former.candidate.mask
        known = on_region(old, view.region, self.size)
        share, quality = self._answer(self._seen(view, known), _VIEWS)
        found = self._shares(view, share)
        shape = (found.shape[0], found.shape[1])
        place = np.array(view.window, np.float64)
        moved = new.moved(place, shape)
        shown = merge_correction(
            on_window(old, view.window, shape),
            found > min(0.5, 0.5 * float(found.max())),
            found,
            positive=np.concatenate([moved.inside, moved.extremes]),
            negative=moved.outside,
            side=_side(prompt, shape, view.window),
        )
        if former.frame is not None:
            beyond = prompt.moved(place, shape)
            everything = np.concatenate([beyond.extremes, beyond.inside])
            frame = Prompt(_NONE, _NONE, _NONE, former.frame).moved(place, shape).box
            if frame is not None:
                shown = within_frame(shown, frame, everything)
        return self._finished(view, shown), self._estimate.corrected(quality)

    def _view(self, pixels: RGBImage, prompt: Prompt) -> _View:
        size = (pixels.shape[0], pixels.shape[1])
        region = region_of(prompt, size)
        window = _window(prompt, region, size)
        cached = self._crops.at(pixels, region, window)
        return _View(cached, region, window, prompt, prompt.moved(region, self.size))

    def _seen(self, view: _View, known: NDArray[np.float32] | None) -> NDArray[np.float32]:
        if self._corrects:
            return correcting_channels(view.cached.crop, view.near, known)
        return channels(view.cached.crop, view.near)

    def _shares(self, view: _View, share: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the window, aligned with the image's edges."""
        pulled = np.clip(share + _pull(view.near, self.size), 0, 1)
        return upsample(pulled, view.cached.crop, view.cached.guide, view.region, view.window)

    def _drawn(self, view: _View, share: NDArray[np.float32]) -> Mask:
        """Return the mask of probabilities (H, W), at the image's resolution."""
        found = self._shares(view, share)
        return self._finished(view, found > min(0.5, 0.5 * float(found.max())))

    def _finished(self, view: _View, shown: NDArray[np.bool_]) -> Mask:
        """Return the mask at the image's resolution, with the clicks enforced."""
        left, top, right, bottom = view.window
        whole = bottom - top, right - left
        place = np.array(view.window, np.float64)
        kept = enforce_clicks(shown, view.prompt.moved(place, (shown.shape[0], shown.shape[1])))
        if shown.shape != whole:
            kept = enforce_clicks(
                enlarge(kept, whole), view.prompt.moved(place, whole), parts=False
            )
        return Mask(kept, left, top)

    def _answer(self, seen: NDArray[np.float32], views: int) -> tuple[NDArray[np.float32], float]:
        """Return the probabilities (H, W) and the estimated IoU, averaged over mirrored views."""
        shares, qualities = self._session.run(None, {"seen": mirrored_views(seen)[:views]})
        share = shares[0] if len(shares) == 1 else mean_of_views(shares)
        return share, float(np.clip(qualities.mean(), 0, 1))


@dataclass(frozen=True)
class _View:
    """The crop of a call. region, window: of the image. near: the prompt in the crop's pixels."""

    cached: CachedCrop
    region: Box
    window: Window
    prompt: Prompt
    near: Prompt


def _only_clicks(prompt: Prompt, positive: set[Click], negative: AbstractSet[Click]) -> Prompt:
    """Return a prompt with only these clicks."""

    def kept(points: Points, clicks: AbstractSet[Click]) -> Points:
        return np.array([p for p in points.tolist() if tuple(p) in clicks]).reshape(-1, 2)

    return Prompt(
        kept(prompt.extremes, positive),
        kept(prompt.inside, positive),
        kept(prompt.outside, negative),
        prompt.box,
    )


def _side(prompt: Prompt, shape: tuple[int, int], window: Window) -> float:
    """Return the longer side of the object in pixels of a window resized to (height, width)."""
    if prompt.box is None:
        return float(max(shape)) / 2
    scale = shape[1] / (window[2] - window[0])
    return float((prompt.box[2:] - prompt.box[:2]).max()) * scale


def mirrored_views(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (C, H, W) unchanged, flipped horizontally, vertically and both, (4, C, H, W)."""
    return np.stack([seen, seen[..., ::-1], seen[:, ::-1], seen[:, ::-1, ::-1]])


def mean_of_views(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share (H, W) that the answers to `mirrored` agree on: the mean of their logits.

    shares: (N, H, W), predictions on its first N views.
    """
    back = (np.s_[:, :], np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1])
    turned = [share[how] for share, how in zip(shares, back, strict=False)]
    logits = [np.log(s / (1 - s)) for s in (np.clip(t, _LEAST, 1 - _LEAST) for t in turned)]
    mean = np.mean(logits, axis=0)
    return np.asarray(1 / (1 + np.exp(-mean)), np.float32)


def check_clicks(
    positive: Points, negative: Points, box: Box | None, size: tuple[int, int]
) -> tuple[Points, Points, Box | None]:
    """Return the valid clicks in an image of (height, width), positive ones moved into it.

    Raises PromptError for clicks that make no sense: none at all, all outside the image, or one
    that is both positive and negative.
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
        raise PromptError(f"all positive clicks lie outside {place}: {positive.tolist()}")
    # Slightly less than the side: the edge itself belongs to the last pixel.
    positive = np.clip(positive, 0, [width - 1e-3, height - 1e-3])
    negative = negative[~_outside(negative, size)]
    both = {tuple(p) for p in np.floor(positive)} & {tuple(p) for p in np.floor(negative)}
    if both:
        x, y = min(both)
        raise PromptError(f"pixel ({x:g}, {y:g}) is clicked as inside and as outside; undo one")
    return positive, negative, box


def _pull(prompt: Prompt, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the probability that corrective clicks add around them, (height, width)."""
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
    """Return left, top, right, bottom of the pixels that the mask may contain."""
    if len(prompt.extremes) and prompt.box is not None:
        region = np.concatenate([np.floor(prompt.box[:2]), np.floor(prompt.box[2:]) + 1])
    left, top = (int(v) for v in np.clip(np.floor(region[:2]), 0, [size[1] - 1, size[0] - 1]))
    right, bottom = (int(v) for v in np.clip(np.ceil(region[2:]), 1, [size[1], size[0]]))
    return left, top, max(right, left + 1), max(bottom, top + 1)
