"""The protocols of a model that turns clicks, or boxes, into masks; an engine implements them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.detections import Mask

Points = NDArray[np.float64]  # (N, 2), x y
Box = NDArray[np.float64]  # (4,), x1 y1 x2 y2


@dataclass(frozen=True)
class Prompt:
    """The annotator's clicks, sorted by role.

    extremes: (4, 2) left, top, right, bottom; one click may fill two roles; (0, 2) when there are
    none. inside, outside: (N, 2) further positive clicks, and the negative ones. box: (4,) of the
    object as far as the clicks determine it, else None.
    """

    extremes: Points
    inside: Points
    outside: Points
    box: Box | None

    def moved(self, region: Box, size: tuple[int, int]) -> Prompt:
        """Return the clicks in the coordinates of a crop: region of the image, (height, width)."""
        scale = np.array([size[1], size[0]]) / (region[2:] - region[:2])
        box = None if self.box is None else _scaled(self.box.reshape(2, 2), region, scale).ravel()
        return Prompt(
            _scaled(self.extremes, region, scale),
            _scaled(self.inside, region, scale),
            _scaled(self.outside, region, scale),
            box,
        )


def _scaled(points: Points, region: Box, scale: Points) -> Points:
    moved: Points = (points - region[:2]) * scale
    return moved


@dataclass(frozen=True)
class Candidate:
    """One answer of an interactor: a mask, and the model's own estimate of its IoU in 0..1.

    prompt: how the clicks were parsed, which the mask satisfies; None if unknown.
    """

    mask: Mask
    confidence: float
    prompt: Prompt | None = None


class Interactor(Protocol):
    """A loaded model that turns clicks into masks. Safe to call from several threads."""

    def segment(
        self,
        image: bytes,
        *,
        positive: NDArray[np.float64],
        negative: NDArray[np.float64],
        box: NDArray[np.float64] | None,
    ) -> tuple[Sequence[Candidate], tuple[int, int]]:
        """Segment the object that the clicks so far select; return masks and the image's size.

        image: encoded bytes, so that the decoded image can be cached between clicks. The size is
        (height, width). positive, negative: (N, 2) x y in pixels of any numbers and order. box:
        (4,) x1 y1 x2 y2 with x1 <= x2 and y1 <= y2, or None. Every mask lies inside the image,
        contains the positive clicks and none of the negative ones. Raises PromptError for clicks
        that make no sense and ImageError for bytes that are not an image.
        """
        ...


@runtime_checkable
class BoxSegmenter(Protocol):
    """An interactor that segments many boxes of one image at once; thread-safe."""

    def segment_boxes(self, pixels: RGBImage, boxes: NDArray[np.floating[Any]]) -> list[Mask]:
        """Segment the object in each of N boxes: the masks that `segment` returns for each alone.

        pixels: (H, W, 3). boxes: (N, 4) x1 y1 x2 y2 in pixels. A mask lies inside the image and may
        extend slightly beyond its box. An empty mask means that nothing was found in the box, or
        that less than a pixel of the box lies in the image.
        """
        ...
