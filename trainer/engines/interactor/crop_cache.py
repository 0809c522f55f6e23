"""A cache of the crop and its edge guide, shared by the clicks on one object."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.engines.interactor.clicks import Box, crop_of
from trainer.engines.interactor.upsample import guide_of

Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the image
_Key = tuple[int, bytes, Window]
_MOST = 16  # crops, of up to 1.7 MB each


@dataclass(frozen=True)
class CachedCrop:
    """crop: (S, S, 3) of the region. guide: (h, w) gray values 0..1 of the window."""

    crop: RGBImage
    guide: NDArray[np.float32]


class CropCache:
    """The most recently used crops, a fixed number; thread-safe.

    An image is identified by its array, by weak reference: a crop is unused once its image is
    freed. size: (height, width) of the crops.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._kept: LRUCache[_Key, tuple[weakref.ref[RGBImage], CachedCrop]] = LRUCache(_MOST)
        self._lock = threading.Lock()

    def at(self, pixels: RGBImage, region: Box, window: Window) -> CachedCrop:
        """Return the crop of a region and the guide of a window of an image (H, W, 3).

        Crops of a writable array are not cached, since it could have changed.
        """
        key = id(pixels), region.tobytes(), window
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0]() is pixels:
                return kept[1]
        crop = CachedCrop(crop_of(pixels, region, self.size), guide_of(pixels, window))
        if not pixels.flags.writeable:
            with self._lock:
                self._kept[key] = weakref.ref(pixels), crop
        return crop
