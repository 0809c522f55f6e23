"""From frames with truth and answers to a record: tables in files, a row in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from cvat_bridge.home import Home
from cvat_bridge.judged.building import crops_of, cuts_of, frame_columns, tables_of, unmatched
from cvat_bridge.judged.clusters import clusters_of
from cvat_bridge.judged.judgements import JudgedFrame, Source
from cvat_bridge.judged.looks import OBJECTS, TRUTH, Boxes, LookStore, Pictured
from cvat_bridge.judged.matching import Matched, match_boxes
from cvat_bridge.judged.table import Crops, Judged, unpacked, write_table
from cvat_bridge.judged.thresholds import best_threshold
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Judgement
from trainer.data.images import RGBImage
from trainer.errors import TrainerError

LEAST_SCORE = 0.05  # answers below are not kept
log = structlog.get_logger("round")


def record(
    home: Home,
    ledger: Ledger,
    frames: Iterable[JudgedFrame],
    *,
    model: str,
    source: Source,
    number: int,
    classes: Sequence[str],
    names: Sequence[str],
    looks: LookStore,
    threshold: float | None,
    now: str,
) -> Judgement | None:
    """Record the matches of a model on a source in the place of earlier ones; None for no frame.

    classes: the names that can be marked. names: those that the answers' class_ids point into;
    answers of a class that nobody can mark are not judged. threshold: the score from which the
    model's answers count, None for where F1 is best on these frames. A frame whose pixels cannot
    be read is judged and not looked at. Raises LedgerError.
    """
    kept = list(frames)
    if not kept:
        return None
    judged, crops = judge(kept, model=model, classes=classes, names=names, looks=looks)
    row = Judgement(
        model=model,
        source=source,
        round=number,
        frames=len(judged.frames),
        objects=len(judged.objects),
        answers=len(judged.answers),
        threshold=best_threshold(judged) if threshold is None else threshold,
        file=write_table(home.judged, judged),
        crops=write_table(home.judged, crops),
        recorded=now,
    )
    ledger.save_judgement(row)
    return row


def judge(
    frames: Sequence[JudgedFrame],
    *,
    model: str,
    classes: Sequence[str],
    names: Sequence[str],
    looks: LookStore,
) -> tuple[Judged, Crops]:
    """Match every frame and measure what is in it; see record."""
    place = {name: n for n, name in enumerate(classes)}
    of_model = np.array([place.get(name, -1) for name in names] or [-1], np.int64)
    matched = [_match(frame, place, of_model) for frame in frames]
    seen, pictures = _seen(frames, matched, model, looks)
    subsets = tuple(sorted({frame.where.subset for frame in frames}))
    columns = frame_columns([f.where for f in frames], seen, subsets)
    blank = np.zeros(looks.embedder.width, np.int8)
    vectors = np.stack([seen[i].vector if (i := f.where.image) in seen else blank for f in frames])
    centres, cluster = clusters_of(unpacked(vectors))
    columns = replace(columns, cluster=cluster)
    objects, answers = tables_of(frames, matched, place)
    return (
        Judged(
            classes=tuple(classes),
            subsets=subsets,
            embedder=looks.embedder.name,
            cuts=cuts_of(columns, objects),
            centres=centres,
            vectors=vectors,
            frames=columns,
            objects=objects,
            answers=answers,
        ),
        crops_of(frames, matched, pictures),
    )


def _match(frame: JudgedFrame, place: Mapping[str, int], of_model: NDArray[np.int64]) -> Matched:
    found = frame.found
    ids = of_model[found.class_ids]
    kept = (ids >= 0) & (found.scores >= LEAST_SCORE)
    truth_ids = np.array([place[name] for name in frame.labels], np.int64)
    return match_boxes(
        np.asarray(frame.boxes, float).reshape(-1, 4),
        truth_ids,
        np.asarray(frame.crowd, float).reshape(-1, 4),
        found.boxes[kept],
        ids[kept],
        found.scores[kept],
    )


def _seen(
    frames: Sequence[JudgedFrame], matched: Sequence[Matched], model: str, looks: LookStore
) -> tuple[dict[str, Pictured], list[tuple[Boxes, Boxes]]]:
    """Give how frames look and the pictures of their objects and wrong answers."""
    images = [frame.where.image for frame in frames]
    known, wrong_of = looks.looks(images), f"{model} wrong"
    held = {name: looks.boxes(name, images) for name in (TRUTH, wrong_of)}
    pictures = []
    for frame, one in zip(frames, matched, strict=True):
        image = frame.where.image
        wanted = {
            TRUTH: frame.boxes[:OBJECTS].astype(np.float32).reshape(-1, 4),
            wrong_of: one.boxes[unmatched(one)].astype(np.float32),
        }
        old = {
            name: there
            for name, boxes in wanted.items()
            if (there := held[name].get(image)) is not None and np.array_equal(there.boxes, boxes)
        }
        pixels = None if len(old) == len(wanted) and image in known else _pixels(frame)
        for name in set(wanted) - set(old):
            if pixels is None:  # it could not be read: of its boxes nothing is seen
                blank = np.zeros((len(wanted[name]), looks.embedder.width), np.int8)
                old[name] = Boxes(wanted[name], blank)
            else:
                old[name] = looks.pictures(pixels, wanted[name])
                looks.see(name, {image: pixels}, {image: old[name]})
        if image not in known and pixels is not None:
            looks.see(TRUTH, {image: pixels}, {})
        pictures.append((old[TRUTH], old[wrong_of]))
    return looks.looks(images), pictures


def _pixels(frame: JudgedFrame) -> RGBImage | None:
    """Read a frame; one that no longer decodes is judged all the same, but not looked at."""
    try:
        return frame.pixels()
    except (TrainerError, OSError) as error:
        log.warning("a judged frame cannot be read", image=frame.where.image, why=str(error))
        return None
