"""Embedders of images: ImageNet features, and a fallback without a model."""

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

SIDE = 224  # pixels; images are resized to this square, whatever their aspect
WIDTH = 320  # dimensions of an embedding of the features
NAME = f"lite0-{SHA256[:8]}-{SIDE}"
_AT_ONCE = 16


class Embedder(Protocol):
    """Compute embeddings of images. Safe to call from several threads.

    name: of the embedding space; embeddings of different names must not be compared. width:
    dimensions of an embedding. why: "" for the best embedder, else the reason for the fallback, for
    people.
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
    """Colour, layout and gradients of an image, without a model. See descriptor.py."""

    why: str = ""
    name: str = "descriptor"
    width: int = SIZE

    def embed(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        """See Embedder."""
        rows = [describe(image) for image in images]
        return np.stack(rows) if rows else np.zeros((0, self.width), np.float32)


@dataclass(frozen=True)
class Features:
    """EfficientNet-Lite0 pretrained on ImageNet, its last features averaged over the image.

    session: of the exported encoder, see exporting.exported.
    """

    session: Any = field(repr=False)
    name: str = NAME
    width: int = WIDTH
    why: str = ""

    def embed(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        """See Embedder. At most sixteen images at once, to bound memory."""
        found = np.zeros((len(images), self.width), np.float32)
        for start in range(0, len(images), _AT_ONCE):
            small = [_resized(image) for image in images[start : start + _AT_ONCE]]
            batch = np.stack(small).transpose(0, 3, 1, 2)
            given = {"images": np.ascontiguousarray(batch, np.float32)}
            found[start : start + len(small)] = self.session.run(None, given)[0]
        return found


def embedder(folder: Path, *, threads: int | None = None) -> Embedder:
    """Return the best embedder available in this installation.

    folder: where the exported encoder is stored; it is exported once, in a process of its own,
    since exporting needs torch and using it does not. threads: per call, None for one per core. If
    torch or the weights are missing, or the export fails, returns the Descriptor, with the reason
    in `why`.
    """
    path = folder / f"{NAME}.onnx"
    try:
        if not path.exists():
            _check_installed()
            exported(path, side=SIDE)
        return Features(open_session(path, threads=threads))
    except TrainerError as error:
        return Descriptor(
            "frames are compared by colour, layout and gradients only, not by content: "
            f"{' '.join(str(error).split())}"
        )


def _check_installed() -> None:
    shipped_file()
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        fault = f"the pretrained features need {' and '.join(missing)} once"
        raise ConfigError([f"{fault}: pip install 'cvat-active-learning[train]'"])


def _resized(image: RGBImage) -> RGBImage:
    shrinks = image.shape[0] > SIDE or image.shape[1] > SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=how), np.uint8)
