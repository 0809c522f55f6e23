"""A short description of a picture that its near-duplicates share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16
BITS = SIDE * SIDE


def difference_hash(image: NDArray[np.uint8]) -> str:
    """Describe an (H, W, 3) image by 256 bits, given as 64 hex digits.

    Each bit says whether a cell of a 16 x 16 grid is brighter than its left neighbour, so scale,
    recompression and small shifts change few of them (dHash: N. Krawetz, "Kind of like that",
    2013, with a finer grid: at 64 bits unlike cells on one background already come close).
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes().hex()
