"""Inputs of a correcting network: the clicks, and the mask that they correct.

The previous mask is an input as in RITM (Sofiiuk et al., Reviving Iterative Training with Mask
Guidance, 2022), and so is the log ratio of the colours inside and outside of it: the next iteration
of GrabCut's colour models (Rother et al., 2004), without its graph cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.engines.interactor.clicks import CHANNELS, Prompt, channels, colour_ratio

CORRECTING = CHANNELS + 2
_LEAST = np.float32(1e-4)  # minimum weight in a colour model


def correcting_channels(
    crop: RGBImage, prompt: Prompt, previous: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return the input of a correcting network, (CORRECTING, H, W) float32.

    crop: (H, W, 3). prompt: in its coordinates. previous: (H, W), the coverage of each pixel by the
    previous mask, 0..1, or None for a first prediction. The channels of clicks.channels are
    followed by that mask as -1..1, and the log ratio of the colours inside and outside of it; both
    are 0 for a first prediction.
    """
    height, width = crop.shape[:2]
    seen = np.zeros((CORRECTING, height, width), np.float32)
    seen[:CHANNELS] = channels(crop, prompt)
    return following(seen, crop, previous)


def following(
    seen: NDArray[np.float32], crop: RGBImage, previous: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Replace the previous mask in the result of correcting_channels, and return it."""
    if previous is not None:
        near = seen[6] > -0.5 if seen[6].any() else np.ones(previous.shape, np.bool_)
        seen[CHANNELS] = 2 * previous - 1
        seen[CHANNELS + 1] = colour_ratio(
            crop, previous + _LEAST, ((1 - previous) * near + _LEAST).astype(np.float32)
        )
    return seen
