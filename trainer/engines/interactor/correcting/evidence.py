"""What a network sees that corrects: the clicks as ever, and the mask that they correct.

The mask given before is an input as in RITM (Sofiiuk et al., Reviving Iterative Training with Mask
Guidance, 2022), and so is the colour of what it holds against the colour of what it leaves out: the
next round of GrabCut's colour models (Rother et al., 2004), without its cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.engines.interactor.clicks import CHANNELS, Prompt, channels, colour_ratio

CORRECTING = CHANNELS + 2
_LEAST = np.float32(1e-4)  # of a weight of a colour model: none is empty


def correcting_channels(
    crop: RGBImage, prompt: Prompt, previous: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return what a network that corrects sees, (CORRECTING, H, W) float32.

    crop: (H, W, 3). prompt: in its coordinates. previous: (H, W), the share of each pixel in the
    mask before, 0..1, or None for a first answer. After what clicks.channels gives come that mask
    as -1..1, and the log ratio of the colours inside and outside of it; both are 0 for a first one.
    """
    height, width = crop.shape[:2]
    seen = np.zeros((CORRECTING, height, width), np.float32)
    seen[:CHANNELS] = channels(crop, prompt)
    return following(seen, crop, previous)


def following(
    seen: NDArray[np.float32], crop: RGBImage, previous: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Put another mask before into what correcting_channels gave, and return it."""
    if previous is not None:
        near = seen[6] > -0.5 if seen[6].any() else np.ones(previous.shape, np.bool_)
        seen[CHANNELS] = 2 * previous - 1
        seen[CHANNELS + 1] = colour_ratio(
            crop, previous + _LEAST, ((1 - previous) * near + _LEAST).astype(np.float32)
        )
    return seen
