"""Small images that differ by their seed."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(seed: int, *, width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    """Encode an RGB image of smooth noise; kind is a Pillow format (PNG, JPEG, BMP)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(1, height // 8), max(1, width // 8), 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(coarse).resize((width, height)).save(content, format=kind)
    return content.getvalue()
