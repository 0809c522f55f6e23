"""Run SAM weights: clicks and a box in, the mask that SAM scores best out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.detections import Mask
from trainer.engines.interactor.click_constraints import enforce_clicks
from trainer.engines.interactor.clicks import Box, Points, parse_clicks
from trainer.engines.interactor.extreme_points import check_clicks
from trainer.engines.interactor.image_cache import ImageCache
from trainer.errors import BundleError
from trainer.interactor import Candidate

WEIGHTS = "weights.pt"
ARCHITECTURES = ("mobile_sam", "sam_vit_b", "sam_vit_l", "sam_vit_h")


def load(bundle: Bundle, *, threads: int | None = None) -> Sam:  # noqa: ARG001 the seam's
    """Load the bundle; BundleError for weights of another architecture.

    threads: ignored; torch's setting applies to the whole process.
    """
    name = str(bundle.card.extra.get("architecture"))
    model = architecture(name, bundle.path)
    path = bundle.file(WEIGHTS)
    try:
        # Never unpickle code: weights come from strangers.
        weights = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(weights.get("model", weights))
    except (RuntimeError, ValueError, AttributeError, EOFError) as error:
        raise BundleError(path, f"the weights of {name}", str(error)) from error
    return Sam(model, side=bundle.card.input_size[0])


def architecture(name: str, where: Path) -> Any:
    """Return the network of that name with random weights; BundleError for an unknown one."""
    from ultralytics.models.sam import build

    if name not in ARCHITECTURES:
        raise BundleError(where, f"extra.architecture of {', '.join(ARCHITECTURES)}", name)
    made: Callable[[], Any] = getattr(build, f"build_{name}")
    return made().eval()


class Sam:
    """The Interactor of SAM weights; see trainer.interactor.Interactor.

    The predictor keeps one image's features, so calls wait for each other.
    """

    def __init__(self, model: Any, *, side: int = 1024) -> None:
        from ultralytics.models.sam import Predictor

        self._predictor = Predictor(overrides={"imgsz": side, "verbose": False, "save": False})
        self._predictor.setup_model(model, verbose=False)
        self._cache = ImageCache()
        self._turn = threading.Lock()
        self._seen = b""

    def segment(
        self,
        image: bytes,
        *,
        positive: Points,
        negative: Points,
        box: Box | None,
    ) -> tuple[list[Candidate], tuple[int, int]]:
        """Segment by the clicks so far; see Interactor.segment."""
        pixels = self._cache.decode(image)
        size = (pixels.shape[0], pixels.shape[1])
        positive, negative, box = check_clicks(positive, negative, box, size)
        prompt = parse_clicks(positive, negative, box)
        with self._turn:
            found, score = self._ask(image, pixels, positive, negative, prompt.box)
        return [Candidate(Mask(enforce_clicks(found, prompt), 0, 0), score)], size

    def _ask(
        self, image: bytes, pixels: RGBImage, positive: Points, negative: Points, box: Box | None
    ) -> tuple[NDArray[np.bool_], float]:
        key = hashlib.blake2b(image, digest_size=20).digest()
        if key != self._seen:
            self._seen = b""
            self._predictor.reset_image()  # type: ignore[no-untyped-call]
            self._predictor.set_image(np.ascontiguousarray(pixels[..., ::-1]))
            self._seen = key
        clicks = np.concatenate([positive, negative])
        labels = [1] * len(positive) + [0] * len(negative)
        prompts: dict[str, Any] = {} if box is None else {"bboxes": box.tolist()}
        if len(clicks):
            prompts |= {"points": [clicks.tolist()], "labels": [labels]}
        with torch.inference_mode():
            (result,) = self._predictor(**prompts)
        if result.masks is None or not len(result.masks):
            return np.zeros(pixels.shape[:2], np.bool_), 0.0
        best = int(result.boxes.conf.argmax())
        score = float(result.boxes.conf[best].clamp(0, 1))
        return np.asarray(result.masks.data[best].cpu().numpy() > 0, np.bool_), score
