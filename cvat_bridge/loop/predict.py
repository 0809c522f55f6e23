"""The model reads the pool: candidates and an embedding for every frame, remembered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from active_learning.strategies import reads_disagreement
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.frames.mirrored import Mirrored, mirrored
from cvat_bridge.frames.originals import ImageStore, Original, ahead, read_originals
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, frame_key, split_key
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import Facts, PoolFrame
from cvat_bridge.settings import RoundSettings
from trainer.data.images import RGBImage, decode
from trainer.detections import Detections
from trainer.detector import Detector
from trainer.embedding import Descriptor, Embedder
from trainer.errors import ImageError

PredictionObserver = Callable[[dict[str, RGBImage], dict[str, Detections]], None]
_BLOCK = 10_000  # frames asked about at a time
_Answer = Callable[[dict[str, RGBImage]], dict[str, Detections]]  # images by sha256 → what is kept


@dataclass(frozen=True)
class Predicted:
    """What a pass did. frames: those of the pool that can be chosen from, in its order.

    model: whose predictions are read, None at a cold start. embeddings: under which name the
    frames' embeddings are kept, the model's own or an embedder's; why: what people should know
    about them, or "". cached: frames that were known already. read: frames that the model looked
    at now, labelled ones among them. skipped: broken frames and why, by key.
    """

    model: str | None
    frames: tuple[PoolFrame, ...]
    cached: int
    read: int
    skipped: dict[str, str]
    embeddings: str
    why: str = ""


def predict(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    home: Home,
    settings: RoundSettings,
    detector: Detector | None,
    model: str | None = None,
    embedder: Callable[[], Embedder] | None = None,
    labelled: bool = True,
    report: Report = quiet,
    observer: PredictionObserver | None = None,
) -> Predicted:
    """Predict every frame of facts.pool that was not predicted by this model yet.

    detector None (and model None) is a cold start: an embedding from the image alone, by the
    embedder (the Descriptor where none is given). An embedder is asked, too, where the detector
    gives no embeddings of its own. labelled: also read the labelled images at hand, so that
    diversity can count them. Where the strategy reads disagreement, the pool is read mirrored, too.
    witness: gets the images of each batch and what the detector said, while they are at hand.
    Batches are kept as they are done; a killed pass goes on where it was. Raises GatewayError,
    LedgerError and what the detector raises; a broken frame is skipped and named.
    """
    look = partial(_pass, gateway, ledger, facts, home=home, settings=settings, report=report)
    if detector is None or model is None:
        by = embedder() if embedder else Descriptor()
        done = look(answer=partial(_embed, by), labels=(), model=by.name, labelled=labelled)
        return replace(done, model=None, why=by.why)
    names = tuple(detector.labels)
    asks = _asks(detector, settings)
    ask = asks if observer is None else partial(_observed, asks, observer)
    done = look(answer=ask, labels=names, model=model, labelled=labelled)
    if reads_disagreement(settings.selection.strategy):
        twin = _asks(Mirrored(detector), settings)
        look(answer=twin, labels=names, model=mirrored(model), labelled=False)
    if embedder is None or _embeds(home, model):
        return done
    by = embedder()
    look(answer=partial(_embed, by), labels=(), model=by.name, labelled=labelled)
    return replace(done, embeddings=by.name, why=by.why)


def _pass(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    home: Home,
    settings: RoundSettings,
    answer: _Answer,
    labels: tuple[str, ...],
    model: str,
    labelled: bool,
    report: Report,
) -> Predicted:
    images = ImageStore(home.images)
    pool = [frame.key for frame in facts.pool]
    all_keys = pool + (
        [frame_key(job.task_id, f) for job in facts.jobs for f in job.frames] if labelled else []
    )
    with PredictionStore(home.predictions, model, labels=labels) as store:
        known, broken = _not_settled(ledger, store, all_keys)
        new = list(known)
        rows = {key: row for key, row in known.items() if row is not None}
        at_hand = [k for k in new if k in rows and images.path(rows[k]).exists()]
        absent = sorted((set(new) & set(pool)) - set(at_hand), key=split_key)
        total, count = len(at_hand) + len(absent), 0
        report("predict", 0, total)
        source = _load(
            images,
            [rows[k] for k in at_hand],
            lambda gone: _fetch(gateway, facts, [*absent, *gone]),
        )
        for batch in _batches(ahead(source, depth=2 * settings.batch_size), settings.batch_size):
            ledger.add_frames([original.facts for original in batch])
            good = {o.facts.sha256: o.pixels for o in batch if o.pixels is not None}
            store.put(answer(good) if good else {})
            count += len(batch)
            report("predict", count, total)
    now = {row.key: row.problem for row in ledger.frames_of(new).values() if row.problem}
    problems = broken | now
    skipped = {key: problems[key] for key in pool if key in problems} if problems else {}
    cached = sum(key not in known for key in pool) - sum(key not in known for key in skipped)
    usable = tuple(frame for frame in facts.pool if frame.key not in skipped)
    return Predicted(model, usable, cached, count, skipped, embeddings=model)


def unread(ledger: Ledger, facts: Facts, home: Home, model: str) -> list[str]:
    """Return the frames of the pool, in its order, that this model has not read yet."""
    with PredictionStore(home.predictions, model) as store:
        return list(_not_settled(ledger, store, [frame.key for frame in facts.pool])[0])


def _not_settled(
    ledger: Ledger, store: PredictionStore, keys: Sequence[str]
) -> tuple[dict[str, FrameFacts | None], dict[str, str]]:
    """Return the frames to read, with what is known of them; and why settled ones are broken."""
    unsettled: dict[str, FrameFacts | None] = {}
    broken: dict[str, str] = {}
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        known = ledger.frames_of(block)
        done = store.known_among(row.sha256 for row in known.values())
        for key in block:
            row = known.get(key)
            if row is None or not _is_settled(row, done):
                unsettled[key] = row
            elif row.problem:
                broken[key] = row.problem
    return unsettled, broken


def _is_settled(frame: FrameFacts, done: frozenset[str]) -> bool:
    # What CVAT could not give (no content) may come the next time.
    return frame.sha256 in done or bool(frame.problem and frame.sha256)


def _fetch(gateway: Gateway, facts: Facts, keys: Iterable[str]) -> Iterator[Original]:
    by_task: dict[int, list[int]] = defaultdict(list)
    for key in keys:
        task_id, frame = split_key(key)
        by_task[task_id].append(frame)
    for task_id, numbers in by_task.items():
        for _, original in read_originals(gateway, facts.media[task_id], numbers):
            yield original


def _load(
    images: ImageStore,
    rows: Sequence[FrameFacts],
    fetch: Callable[[Sequence[str]], Iterator[Original]],
) -> Iterator[Original]:
    """Read the images at hand, then fetch: what is absent, and those that are not whole here."""
    gone: list[str] = []
    for row in rows:
        content = images.read(row)
        if content is None:
            gone.append(row.key)
            continue
        try:
            yield Original(row, content, decode(content))
        except ImageError as error:
            yield Original(replace(row, problem=str(error)), content, None)
    yield from fetch(gone)


def _batches(items: Iterator[Original], size: int) -> Iterator[list[Original]]:
    while batch := list(islice(items, size)):
        yield batch


def _asks(detector: Detector, settings: RoundSettings) -> _Answer:
    def answer(images: dict[str, RGBImage]) -> dict[str, Detections]:
        answers = detector.detect(list(images.values()), min_score=settings.candidate_score)
        return {
            sha256: _bounded(found, settings.max_candidates)
            for sha256, found in zip(images, answers, strict=True)
        }

    return answer


def _observed(
    asks: _Answer, observer: PredictionObserver, images: dict[str, RGBImage]
) -> dict[str, Detections]:
    found = asks(images)
    observer(images, found)
    return found


def _embed(embedder: Embedder, images: dict[str, RGBImage]) -> dict[str, Detections]:
    rows = embedder.embed(list(images.values()))
    return {
        sha256: Detections.empty(embedding=row) for sha256, row in zip(images, rows, strict=True)
    }


def _embeds(home: Home, model: str) -> bool:
    """Whether the model gives embeddings of its own, the same numbers of them for each image.

    Earlier versions kept the Descriptor's with the answers of a model that gives none.
    """
    with PredictionStore(home.predictions, model) as store:
        widths = store.embedding_widths()
    return len(widths) == 1 and not widths & {None, Descriptor().width}


def _bounded(found: Detections, most: int) -> Detections:
    """Keep the best `most` objects."""
    if len(found) <= most:
        return found
    best = np.sort(np.argsort(-found.scores, kind="stable")[:most])
    return replace(
        found,
        boxes=found.boxes[best],
        scores=found.scores[best],
        class_ids=found.class_ids[best],
        probabilities=None if found.probabilities is None else found.probabilities[best],
        masks=None if found.masks is None else tuple(found.masks[i] for i in best),
    )
