"""What a round records: its judgements of models, and what finished jobs show of a model.

Three sources, kept apart: the holdout, when the gate evaluates; the frames that chance drew, once
people have finished them; and all frames that people finished after a model had pre-annotated them.
The last two are judged by what the model had said before anybody labelled them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.evaluations.evaluated_frames import EvaluatedFrame, FrameLocation, Source
from cvat_bridge.evaluations.recording import record
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, Judgement, frame_key
from trainer.bundles.bundle import Bundle
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.files import file_sha256
from trainer.detections import Detections


@dataclass(frozen=True)
class Recorder:
    """Records what round `number` sees. now gives the time in ISO 8601."""

    home: Home
    ledger: Ledger
    appearance: AppearanceStore
    number: int
    now: Callable[[], str]

    def holdout(self, bundle: Bundle, data: Dataset, answers: Sequence[Detections]) -> None:
        """Record a model's answers on the holdout part of a snapshot, one for each frame."""
        known = self.ledger.frames()
        frames = [
            judged_frame(data, image, found, known)
            for image, found in zip(data.split("holdout"), answers, strict=True)
        ]
        names = tuple(bundle.card.labels)
        self._record(bundle.version, "holdout", data, frames, names, bundle.card.min_score)

    def finished(self, data: Dataset) -> tuple[Judgement, ...]:
        """Record what finished jobs show of the models that had read their frames before.

        Models whose predictions are gone keep what was recorded of them.
        """
        by_key = {key: image for image in data.images if (key := key_of(image))}
        made = []
        sources: tuple[tuple[Source, Mapping[str, set[str]]], ...] = (
            ("control", _drawn_by_chance(self.ledger)),
            ("corrected", _corrected(self.ledger, by_key)),
        )
        for source, keys in sources:
            for model in sorted(keys):
                of_model = [by_key[key] for key in sorted(keys[model]) if key in by_key]
                row = self._known(model, source, data, of_model)
                made += [row] if row else []
        return tuple(made)

    def _known(
        self, model: str, source: Source, data: Dataset, images: Sequence[AnnotatedImage]
    ) -> Judgement | None:
        """Judge by the predictions that are kept of a model."""
        known = self.ledger.frames()
        shas = {image.file_name: _sha256(data, image, known) for image in images}
        if not (self.home.predictions / f"{model}.db").exists():
            return None
        with PredictionStore(self.home.predictions, model) as store:
            found, names = store.get(shas.values()), store.labels
        if not names:  # embeddings alone, of a cold start
            return None
        frames = [
            judged_frame(data, image, found[shas[image.file_name]], known)
            for image in images
            if shas[image.file_name] in found
        ]
        thresholds = {row.model: row.threshold for row in self.ledger.judgements()}
        return self._record(model, source, data, frames, names, thresholds.get(model))

    def _record(
        self,
        model: str,
        source: Source,
        data: Dataset,
        frames: Sequence[EvaluatedFrame],
        names: tuple[str, ...],
        threshold: float | None,
    ) -> Judgement | None:
        return record(
            self.home,
            self.ledger,
            frames,
            model=model,
            source=source,
            number=self.number,
            classes=tuple(data.labels),
            names=names,
            appearance=self.appearance,
            threshold=threshold,
            now=self.now(),
        )


def judged_frame(
    data: Dataset, image: AnnotatedImage, found: Detections, known: Mapping[str, FrameFacts]
) -> EvaluatedFrame:
    """Join a frame of a snapshot with what a model said of it. known: frames by key."""
    counted = [item for item in image.objects if not item.crowd]
    where = FrameLocation(
        task=int(image.extra.get("task", 0)),
        frame=int(image.extra.get("frame", 0)),
        job=int(image.extra.get("job", 0)),
        image=_sha256(data, image, known),
        suffix=data.file(image).suffix,
        width=image.width,
        height=image.height,
        subset=str(image.extra.get("subset", "")),
        group=image.group or "",
    )
    return EvaluatedFrame(
        where=where,
        boxes=np.array([item.box for item in counted], float).reshape(-1, 4),
        labels=tuple(data.labels.name_of(item.class_id) for item in counted),
        crowd=np.array([i.box for i in image.objects if i.crowd], float).reshape(-1, 4),
        found=found,
        pixels=partial(data.read, image),
    )


def key_of(image: AnnotatedImage) -> str:
    """Return the key of the frame in CVAT that a row of a snapshot was made of; "" for none."""
    if "task" not in image.extra:
        return ""
    return frame_key(int(image.extra["task"]), int(image.extra["frame"]))


def _sha256(data: Dataset, image: AnnotatedImage, known: Mapping[str, FrameFacts]) -> str:
    row = known.get(key_of(image))
    return row.sha256 if row is not None and row.sha256 else file_sha256(data.file(image))


def _drawn_by_chance(ledger: Ledger) -> dict[str, set[str]]:
    """Return the frames that chance drew, by the model that had read the pool then."""
    found: dict[str, set[str]] = defaultdict(set)
    for number, model in _readers(ledger):
        found[model] |= {
            frame_key(row.task_id, row.frame)
            for row in ledger.provenance(number)
            if row.arm == "control"
        }
        found[model] |= {row.key for row in ledger.selection(number) if row.arm == "control"}
    return found


def _readers(ledger: Ledger) -> Iterator[tuple[int, str]]:
    """Yield each round, and each task that people asked for, with the model that read the pool."""
    for row in ledger.rounds():
        if row.figures.get("model"):
            yield row.number, str(row.figures["model"])
    for wish in ledger.requests():
        yield wish.round, wish.model


def _corrected(ledger: Ledger, by_key: Mapping[str, AnnotatedImage]) -> dict[str, set[str]]:
    """Return the frames of pre-annotated jobs, by the model that pre-annotated them."""
    models = {row.job_id: row.model for row in ledger.preannotated().values() if not row.problem}
    found: dict[str, set[str]] = defaultdict(set)
    for key, image in by_key.items():
        model = models.get(int(image.extra.get("job", 0)))
        if model:
            found[model].add(key)
    return found
