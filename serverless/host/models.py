"""A published model in memory: a bundle loaded by its engine, and how one call goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from serverless.errors import BadRequestError, FunctionError, ModelError
from serverless.store.describe import labels_of
from serverless.store.folders import general_interactor
from serverless.store.functions import Entry
from serverless.wire.answers import Draw, detector_answer, interactor_answer
from serverless.wire.outline import SETTING, redrawn_mask
from serverless.wire.requests import DetectorRequest, InteractorRequest, pixels
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.data.images import RGBImage
from trainer.detections import Detections, Mask
from trainer.detector import Detector
from trainer.engines import load as load_engine
from trainer.engines import load_interactor
from trainer.engines.boxes_to_masks import load_segmenter, masks_of_boxes
from trainer.errors import ImageError, PromptError, TrainerError
from trainer.interactor import BoxSegmenter, Interactor


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle ready to answer. weight: bytes of its files, which is about what it holds.

    segmenter: what makes masks of its boxes, where they are shown as masks or polygons.
    """

    bundle: Bundle
    engine: Detector | Interactor
    weight: int
    segmenter: BoxSegmenter | None = None

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.bundle.version


def load(entry: Entry, *, threads: int | None = None) -> Model:
    """Load what an entry names; ModelError when it is not there, not whole or another version.

    threads: of one call, None for the runtime's own choice.
    """
    try:
        bundle = read_bundle(entry.bundle)
        interactor = bundle.card.task == "interactor"
        engine: Detector | Interactor = (
            load_interactor(bundle, threads=threads)
            if interactor
            else load_engine(bundle, threads=threads)
        )
    except (TrainerError, OSError, ImportError) as error:
        raise ModelError(f"model {entry.id!r} cannot be loaded: {error}") from error
    if bundle.version != entry.version:
        raise ModelError(
            f"model {entry.id!r}: the entry names version {entry.version}, the bundle at"
            f" {entry.bundle} is {bundle.version}; publish it again"
        )
    if interactor != (entry.kind == "interactor"):
        raise ModelError(
            f"model {entry.id!r} is published as {entry.kind}, its bundle is for {bundle.card.task}"
        )
    labels_of(entry, bundle.card)
    weight = _weight(bundle)
    if bundle.card.task != "boxes" or not entry.shows_masks:
        return Model(bundle, engine, weight)
    try:
        helper = read_bundle(entry.interactor) if entry.interactor else general_interactor()
        segmenter = None if helper is None else load_segmenter(helper, threads=threads)
    except (TrainerError, OSError, ImportError) as error:
        raise ModelError(
            f"model {entry.id!r}: the interactor that makes masks of its boxes cannot be loaded:"
            f" {error}"
        ) from error
    if helper is None:
        raise ModelError(
            f"model {entry.id!r} gives boxes and is shown as masks or polygons, and no interactor"
            " that could make them ships with this build; publish it again"
        )
    return Model(bundle, engine, weight + _weight(helper), segmenter)


def identity(entry: Entry) -> tuple[str, str, str]:
    """Return what two entries that can share one loaded model have in common."""
    helper = str(entry.interactor or "shipped") if entry.shows_masks else ""
    return str(entry.bundle), entry.version, helper


def _weight(bundle: Bundle) -> int:
    return sum((bundle.path / name).stat().st_size for name in bundle.card.files)


def detect(model: Model, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
    """Answer several images at once; ModelError when the model fails or answers nonsense."""
    engine = cast("Detector", model.engine)
    try:
        found = engine.detect(images, min_score=min_score)
    except FunctionError:
        raise
    # The engine is the model's own code: whatever it raises is told as this model's failure.
    except Exception as error:
        raise ModelError(f"{model.bundle.card.name}: {type(error).__name__}: {error}") from error
    if len(found) != len(images):
        raise ModelError(f"{model.bundle.card.name} answered {len(found)} images of {len(images)}")
    return found


def thresholds(entry: Entry, model: Model, asked: float | None) -> Mapping[str, float]:
    """Return the score each class must reach: what was asked, else the entry's, else the card's."""
    card = model.bundle.card
    fixed = asked if asked is not None else entry.min_score
    return {name: card.min_score_of(name) if fixed is None else fixed for name in card.labels}


def shown(
    entry: Entry,
    model: Model,
    found: Detections,
    *,
    image: RGBImage,
    asked: float | None,
    maskless: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, Any]]:
    """Return CVAT's items for the detections of one image (H, W, 3).

    maskless: told how many boxes were to become masks and are not sent, having none.
    """
    return detector_answer(
        found,
        classes=model.bundle.card.labels,
        labels=labels_of(entry, model.bundle.card),
        size=(image.shape[0], image.shape[1]),
        min_score=thresholds(entry, model, asked),
        draw=None if model.segmenter is None else _draw(model, image, maskless),
    )


def _draw(model: Model, image: RGBImage, maskless: Callable[[int], None]) -> Draw:
    def draw(boxes: NDArray[np.float32]) -> list[Mask | None]:
        assert model.segmenter is not None  # noqa: S101 - asked by the caller
        try:
            masks = masks_of_boxes(model.segmenter, image, boxes)
        # As in `detect`: whatever it raises is told as this model's failure.
        except Exception as error:
            name = model.bundle.card.name
            raise ModelError(
                f"{name}: making masks of its boxes: {type(error).__name__}: {error}"
            ) from error
        maskless(masks.count(None))
        return masks

    return draw


def answer_detector(entry: Entry, model: Model, request: DetectorRequest) -> list[dict[str, Any]]:
    """Answer one call to a detector."""
    image = pixels(request.image)
    least = min(thresholds(entry, model, request.threshold).values())
    (found,) = detect(model, [image], min_score=least)
    return shown(entry, model, found, image=image, asked=request.threshold)


def answer_interactor(
    entry: Entry, model: Model, request: InteractorRequest, *, user_agent: str | None
) -> dict[str, Any]:
    """Answer one call to an interactor, in the form that the caller's version reads.

    A mask leaves as its polygon draws it, or raw where the entry's annotation `mask` says so.
    """
    engine = cast("Interactor", model.engine)
    try:
        candidates, size = engine.segment(
            request.image, positive=request.positive, negative=request.negative, box=request.box
        )
        if entry.annotations.get(SETTING) == "polygon":
            candidates = [
                replace(found, mask=redrawn_mask(found, request, size)) for found in candidates
            ]
    except FunctionError:
        raise
    except (PromptError, ImageError) as error:
        raise BadRequestError(str(error)) from error
    except Exception as error:
        raise ModelError(f"{model.bundle.card.name}: {type(error).__name__}: {error}") from error
    return interactor_answer(candidates, size=size, user_agent=user_agent)
