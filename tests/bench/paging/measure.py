"""What one model's record says of its plant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvat_bridge.blindspots.at_threshold import FOUND, at_threshold
from cvat_bridge.blindspots.conditions import Conditions, read_key
from cvat_bridge.blindspots.queries import blind_spots, coded, recorded
from cvat_bridge.blindspots.similar import find_similar
from cvat_bridge.blindspots.slicing import ConditionCells, find
from cvat_bridge.blindspots.slicing import SliceableBoxes as Sliced
from cvat_bridge.evaluations.appearance import AppearanceStore, BoxFeatures
from cvat_bridge.evaluations.matching import match_boxes
from cvat_bridge.evaluations.table import EvaluationTable, read_evaluation
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.settings import RoundSettings
from tests.bench.paging.plants import Plant
from tests.bench.paging.recorded import frame_number, record_holdout, record_the_pool
from tests.bench.paging.sets import Set
from trainer.data.annotations import AnnotatedImage
from trainer.data.images import RGBImage
from trainer.detections import Detections
from trainer.embedding import Descriptor

MODEL = "m1"
DEALS, FIND = 10, 50  # pages dealt anew; frames looked for


@dataclass(frozen=True)
class Outcome:
    """place: of the first slice that is the plant, None if none is; named: how it is called.

    false_claims: slices named on `pages` pages whose attributes were dealt anew. share, early: of
    all frames found, and of the first ten, those that hold an object of the plant that the model
    fails on; base: of the whole pool; best: the share that a perfect ranking would have.
    """

    data: str
    plant: str
    place: int | None
    named: str
    slices: int
    pages: int
    false_claims: int
    recall: float
    share: float | None = None
    early: float | None = None
    base: float | None = None
    best: float | None = None
    found: int = 0
    pool: int = 0


class Unseen(AppearanceStore):
    """Keeps how frames look, and no pictures of boxes, which slices do not ask for."""

    def pictures(self, pixels: RGBImage, boxes: np.ndarray) -> BoxFeatures:
        """Return empty pictures."""
        rows = boxes.astype(np.float32).reshape(-1, 4)
        return BoxFeatures(rows, np.zeros((len(rows), self.embedder.width), np.int8))


def measure(
    data: Set,
    plant: Plant | None,
    answers: Mapping[str, Detections],
    folder: Path,
    looks_at: Path,
    *,
    lift: bool,
) -> Outcome:
    """Record the answers and ask the page. looks_at: where looks are kept between models."""
    home = Home(folder)
    kind, place_of_looks = (AppearanceStore, looks_at) if lift else (Unseen, looks_at / "unseen")
    with Ledger(home.ledger) as ledger, kind(place_of_looks, Descriptor()) as looks:
        record_holdout(home, ledger, data, answers, MODEL, looks)
        page = blind_spots(home, ledger, model=MODEL, source="holdout")
        row = recorded(ledger, MODEL, "holdout")
        judged = read_evaluation(home.judged, row.file)
        picked = _picked(data, judged, plant)
        known, of_objects, _ = coded(home.judged, row.file)
        place, named = None, ""
        for number, one in enumerate(page.slices, 1):
            inside = _inside(one.key, known, of_objects)
            both = int((inside & picked).sum())
            # Half of the slice is of the plant, and half of the plant is in the slice.
            if plant is not None and 2 * both >= max(inside.sum(), picked.sum()):
                place, named = number, one.words
                break
        found: dict[str, float] = {}
        if lift and plant is not None:
            record_the_pool(home, ledger, data, answers, MODEL, looks)
            where = page.slices[place - 1].key if place else ""
            found = _lift(home, ledger, data, plant, answers, page.threshold, where)
        return Outcome(
            data=data.name,
            plant=plant.name if plant else "",
            place=place,
            named=named,
            slices=len(page.slices),
            pages=DEALS,
            false_claims=_false_claims(judged, known, row.threshold),
            recall=round(page.recall.value or 0.0, 3),
            **found,  # type: ignore[arg-type]  # numbers by their names
        )


def _picked(data: Set, judged: EvaluationTable, plant: Plant | None) -> np.ndarray:
    flags = [
        plant is not None and plant.picks(image, item)
        for image in data.part("holdout")
        for item in image.objects
    ]
    assert len(flags) == len(judged.objects)
    return np.array(flags, np.bool_)


def _inside(key: str, known: Conditions, of_objects: ConditionCells) -> np.ndarray:
    inside = np.ones(of_objects.codes.shape[1], np.bool_)
    for attribute, code in read_key(known, key):
        inside &= of_objects.codes[attribute] == code
    return inside


def _false_claims(judged: EvaluationTable, known: Conditions, threshold: float) -> int:
    """Deal attributes anew: frames' among frames, boxes' among boxes. Nothing is a blind spot then.

    What fails together still fails together, and attributes keep their own ties.
    """
    at, claims = at_threshold(judged, threshold), 0
    objects = known.codes(judged.frames, judged.objects, judged.subsets)
    answers = known.codes(judged.frames, judged.answers, judged.subsets)
    of_frame = np.array([one.of_frame for one in known.attributes])
    for deal in range(DEALS):
        rng = np.random.default_rng(deal)
        frames = rng.permutation(len(judged.frames))
        sides = []
        for codes, table, right, shown in (
            (objects, judged.objects, at.of_object == FOUND, np.ones(len(objects[0]), np.bool_)),
            (answers, judged.answers, at.of_answer == FOUND, at.shown),
        ):
            dealt = codes[:, rng.permutation(codes.shape[1])]
            first = {int(f): n for n, f in reversed(list(enumerate(table.frame.tolist())))}
            rows = np.array([first.get(int(frames[f]), -1) for f in table.frame.tolist()])
            here = codes[:, rows]
            here[:, rows < 0] = -1
            dealt[of_frame] = here[of_frame]
            group = judged.frames.group.astype(np.int64)[table.frame]
            sides.append(Sliced(ConditionCells(known, dealt), shown, right, group))
        looked = sum(side.compared for side in sides)
        for side in sides:
            side.level = 0.05 / (2 * looked)
        claims += len({one.where for side in sides for one in find(side)})
    return claims


def _lift(
    home: Home,
    ledger: Ledger,
    data: Set,
    plant: Plant,
    answers: Mapping[str, Detections],
    threshold: float,
    where: str,
) -> dict[str, float]:
    pool = data.part("pool")
    fails = {
        f"{data.tasks[image.file_name]}/{frame_number(data, image)}": _fails(
            image, answers[image.file_name], plant, threshold
        )
        for image in pool
    }
    found = find_similar(
        home,
        ledger,
        RoundSettings(),
        model=MODEL,
        source="holdout",
        where=where,
        count=FIND,
        control_share=0.0,
    )
    hits = [fails[frame.key] for frame in found.frames]
    total = sum(fails.values())
    return {
        "share": float(np.mean(hits)),
        "early": float(np.mean(hits[:10])),
        "base": total / len(pool),
        "best": min(total, len(hits)) / len(hits),
        "found": len(hits),
        "pool": len(pool),
    }


def _fails(image: AnnotatedImage, found: Detections, plant: Plant, threshold: float) -> bool:
    """Whether the frame holds an object of the plant that the model does not find."""
    truth = np.array([o.box for o in image.objects], float).reshape(-1, 4)
    ids = np.array([o.class_id for o in image.objects], np.int64)
    one = match_boxes(truth, ids, np.zeros((0, 4)), found.boxes, found.class_ids, found.scores)
    score = np.append(one.scores, -1.0)[one.found]
    return any(
        plant.picks(image, item) and score[n] < threshold for n, item in enumerate(image.objects)
    )
