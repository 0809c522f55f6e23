"""A published model in memory: a bundle loaded by its engine, and how one call goes through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from serverless.answers import detector_answer, interactor_answer
from serverless.describe import labels_of
from serverless.errors import BadRequestError, FunctionError, ModelError
from serverless.outline import SETTING, outlined
from serverless.store import Entry
from serverless.wire import DetectorRequest, InteractorRequest, pixels
from trainer.bundle import Bundle, read_bundle
from trainer.detections import Detections
from trainer.detector import Detector
from trainer.engines import load as load_engine
from trainer.engines import load_interactor
from trainer.errors import ImageError, PromptError, TrainerError
from trainer.images import RGBImage
from trainer.interactor import Candidate, Interactor


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle ready to answer. weight: bytes of its files, which is about what it holds."""

    bundle: Bundle
    engine: Detector | Interactor
    weight: int

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.bundle.version


def load(entry: Entry) -> Model:
    """Load what an entry names; ModelError when it is not there, not whole or another version."""
    try:
        bundle = read_bundle(entry.bundle)
        interactor = bundle.card.task == "interactor"
        engine = load_interactor(bundle) if interactor else load_engine(bundle)
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
    weight = sum((bundle.path / name).stat().st_size for name in bundle.card.files)
    return Model(bundle, engine, weight)


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
    entry: Entry, model: Model, found: Detections, *, size: tuple[int, int], asked: float | None
) -> list[dict[str, Any]]:
    """Return CVAT's items for the detections of one image of (height, width)."""
    return detector_answer(
        found,
        classes=model.bundle.card.labels,
        labels=labels_of(entry, model.bundle.card),
        size=size,
        min_score=thresholds(entry, model, asked),
    )


def answer_detector(entry: Entry, model: Model, request: DetectorRequest) -> list[dict[str, Any]]:
    """Answer one call to a detector."""
    image = pixels(request.image)
    least = min(thresholds(entry, model, request.threshold).values())
    (found,) = detect(model, [image], min_score=least)
    return shown(entry, model, found, size=_size(image), asked=request.threshold)


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
                Candidate(outlined(found.mask, request, size), found.confidence)
                for found in candidates
            ]
    except FunctionError:
        raise
    except (PromptError, ImageError) as error:
        raise BadRequestError(str(error)) from error
    except Exception as error:
        raise ModelError(f"{model.bundle.card.name}: {type(error).__name__}: {error}") from error
    return interactor_answer(candidates, size=size, user_agent=user_agent)


def _size(image: RGBImage) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
