"""Who turns images into embeddings: the ImageNet features, and what stands in for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.backends.features.package import SHA256, shipped_file
from trainer.data.images import RGBImage
from trainer.embedding.descriptor import SIZE, describe
from trainer.embedding.exporting import exported
from trainer.engines.runtime import open_session
from trainer.errors import ConfigError, TrainerError

SIDE = 224  # pixels; images are looked at in this size, whatever their shape
WIDTH = 320  # numbers of an embedding by the features
NAME = f"lite0-{SHA256[:8]}-{SIDE}"
_AT_ONCE = 16


class Embedder(Protocol):
    """Turns images into embeddings. Safe to call from several threads.

    name: of what it gives; embeddings of different names must not be compared. width: numbers of
    one embedding. why: "" where this is the better one, else why it is not, for people.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 see the class

    @property
    def width(self) -> int: ...  # noqa: D102 see the class

    @property
    def why(self) -> str: ...  # noqa: D102 see the class

    def embed(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        """Return (N, width) finite embeddings of (H, W, 3) uint8 RGB images of any sizes."""
        ...


@dataclass(frozen=True)
class Descriptor:
    """Colour, layout and gradients of an image: no model, nothing to install. See descriptor.py."""

    why: str = ""
    name: str = "descriptor"
    width: int = SIZE

    def embed(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        """See Embedder."""
        rows = [describe(image) for image in images]
        return np.stack(rows) if rows else np.zeros((0, self.width), np.float32)


@dataclass(frozen=True)
class Features:
    """EfficientNet-Lite0 as ImageNet taught it, its last features averaged over the image.

    session: of the exported encoder, see exporting.exported.
    """

    session: Any = field(repr=False)
    name: str = NAME
    width: int = WIDTH
    why: str = ""

    def embed(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        """See Embedder. Sixteen images at once at most, so that memory is bounded."""
        found = np.zeros((len(images), self.width), np.float32)
        for start in range(0, len(images), _AT_ONCE):
            small = [_resized(image) for image in images[start : start + _AT_ONCE]]
            batch = np.stack(small).transpose(0, 3, 1, 2)
            given = {"images": np.ascontiguousarray(batch, np.float32)}
            found[start : start + len(small)] = self.session.run(None, given)[0]
        return found


def embedder(folder: Path, *, threads: int | None = None) -> Embedder:
    """Return the best embedder that this installation has.

    folder: where the exported encoder is kept; it is made once, in a process of its own, since
    making it takes torch and using it does not. threads: of one call, None for one a core. Where
    torch or the weights are missing, or the export fails, the Descriptor, whose `why` tells it.
    """
    path = folder / f"{NAME}.onnx"
    try:
        if not path.exists():
            _check_installed()
            exported(path, side=SIDE)
        return Features(open_session(path, threads=threads))
    except TrainerError as error:
        return Descriptor(
            "frames are compared by colour, layout and gradients alone, not by what they show: "
            f"{' '.join(str(error).split())}"
        )


def _check_installed() -> None:
    shipped_file()
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        fault = f"the learnt features need {' and '.join(missing)} once"
        raise ConfigError([f"{fault}: pip install 'cvat-active-learning[train]'"])


def _resized(image: RGBImage) -> RGBImage:
    shrinks = image.shape[0] > SIDE or image.shape[1] > SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=how), np.uint8)
