"""What the screens about people's work claim: savings and their intervals, thresholds, mistakes.

    python -m tests.bench.page --parts people

Savings: simulated annotators who would do every job both ways, so that the true saving is known.
Thresholds and mistakes: what models say of real sets (fits where they are on disk, see `fits.py`,
else detectors drawn by chance), and an annotator who knows the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvat_bridge.demo.annotator import FIX_IOU, KEEP_IOU
from cvat_bridge.ledger.records import Correction
from cvat_bridge.mistakes.feedback import ranked
from cvat_bridge.mistakes.ranking import DisputedFrame, Suspect, suspects
from cvat_bridge.savings.comparing import LEAST_JOBS, compare
from cvat_bridge.savings.controls import is_control
from cvat_bridge.shapes.labelled_object import LabelledObject
from cvat_bridge.thresholds.least_cost import correction_seconds, saved_by_score
from tests.bench.figures import Figure
from tests.bench.paging.sets import Set, read_set
from tests.bench.paging.simulated import answer
from trainer.calibration.worth import BOX_SECONDS, OUTLINE_SECONDS
from trainer.data.annotations import AnnotatedImage
from trainer.detections import Detections, box_iou

RUNS = 600
WAYS = tuple((jobs, people) for jobs in (60, 120, 300) for people in (1, 3, 8))
LOWEST = 0.05
USED = 0.3  # from where the corrections that are learnt from were shown
FAULTS, PLANTINGS = 0.05, 3


def savings_figures() -> list[Figure]:
    """Measure the error of the saving that is told, and how often its interval holds the truth."""
    errors, held, notes = [], [], []
    for jobs, people in WAYS:
        rng = np.random.default_rng(1000 * jobs + people)
        rows = [row for _ in range(RUNS) if (row := _one_project(rng, jobs, people)) is not None]
        truth, told, low, high = np.array(rows).T
        inside = (low <= truth) & (truth <= high)
        errors.append(np.abs(told - truth))
        held.append(inside)
        notes.append(f"{jobs} jobs, {people} people: {inside.mean():.3f}")
    return [
        Figure(
            "savings_error/share",
            float(np.concatenate(errors).mean()),
            "of the time without",
            note=f"mean absolute error; {RUNS} projects each of {len(WAYS)} kinds, one job in ten "
            f"a control, at least {LEAST_JOBS} of them; the true saving is about a half",
        ),
        Figure(
            "savings_error/coverage",
            float(np.concatenate(held).mean()),
            "share",
            note=f"of intervals of 95 % that hold the truth; {'; '.join(notes)}",
        ),
    ]


def _one_project(
    rng: np.random.Generator, jobs: int, people: int
) -> tuple[float, float, float, float] | None:
    """Draw a project; return its true saving and what is told of it: value, low, high."""
    speed = rng.lognormal(0, 0.25, people)
    whose = speed[rng.integers(0, people, jobs)]
    objects = rng.poisson(rng.gamma(3, 10, jobs)) + 1
    without = whose * rng.lognormal(0, 0.2, jobs) * (20 + _spent(rng, objects, 10.0))
    kept, fixed, missed = rng.multinomial(objects, [0.6, 0.2, 0.2]).T
    wrong = rng.poisson(0.15 * objects)
    with_it = (
        whose
        * rng.lognormal(0, 0.2, jobs)
        * (
            20
            + _spent(rng, kept + fixed + wrong, 1.5)
            + _spent(rng, fixed, 6.0)
            + _spent(rng, wrong, 1.5)
            + _spent(rng, missed, 10.0)
        )
    )
    identity = f"{rng.integers(1 << 32):08x}"
    control = np.array([is_control(identity, n, 10) for n in range(jobs)])
    found = compare(
        list(zip(with_it[~control].tolist(), objects[~control].tolist(), strict=True)),
        list(zip(without[control].tolist(), objects[control].tolist(), strict=True)),
    )
    if found is None or found.saved.low is None or found.saved.high is None:
        return None
    true = 1 - float(with_it.sum() / without.sum())
    return true, found.saved.value, found.saved.low, found.saved.high


def _spent(rng: np.random.Generator, times: np.ndarray, seconds: float) -> np.ndarray:
    """Add up so many actions of a skewed length (gamma, half as wide as long)."""
    return np.where(times > 0, rng.gamma(4 * np.maximum(times, 1), seconds / 4), 0.0)


def threshold_figures(data: Set, answers: Mapping[str, Detections], kind: str) -> list[Figure]:
    """Measure the seconds of correction at the thresholds proposed, on frames held back."""
    each = OUTLINE_SECONDS if data.name.endswith("_seg") else BOX_SECONDS
    images = [image for part in ("holdout", "pool") for image in data.part(part)]
    order = np.random.default_rng(0).permutation(len(images))
    learnt, held = (
        [row for n in order[half::2] for row in _corrected(images[n], answers, n)]
        for half in (0, 1)
    )
    costs = {"proposed": 0.0, "0.3 for all": 0.0, "F1-optimal": 0.0}
    told = []
    for class_id, name in enumerate(data.classes):
        own = [row for row in learnt if _label(row) == str(class_id)]
        # What was not shown was drawn, and nothing is known of it but that.
        seen = [
            replace(row, outcome="added", score=None)
            if row.score is not None and row.score < USED and row.outcome != "deleted"
            else row
            for row in own
            if row.score is None or row.score >= USED or row.outcome != "deleted"
        ]
        proposed = saved_by_score([r for r in seen if r.score is not None], each).threshold
        best = _f1_optimal(seen)
        told.append(f"{name} {proposed:.2f} (F1 {best:.2f})")
        test = [row for row in held if _label(row) == str(class_id)]
        for way, at in (("proposed", proposed), ("0.3 for all", USED), ("F1-optimal", best)):
            costs[way] += correction_seconds(test, at, each)
    peer = min(("0.3 for all", "F1-optimal"), key=lambda way: costs[way])
    return [
        Figure(
            f"threshold_cost/{data.name}",
            costs["proposed"],
            "s",
            peer=f"{peer}, the better of 0.3 for all and F1-optimal",
            peer_value=costs[peer],
            ratio=costs["proposed"] / costs[peer],
            note=f"0.3 for all {costs['0.3 for all']:.0f} s, F1-optimal {costs['F1-optimal']:.0f} "
            f"s; learnt from corrections of what was shown from {USED}; {', '.join(told)}; {kind}",
        )
    ]


def _label(row: Correction) -> str:
    return row.proposed_label or row.final_label


def _corrected(
    image: AnnotatedImage, answers: Mapping[str, Detections], number: int
) -> Iterator[Correction]:
    """Yield what an annotator who knows the truth does to each answer, best first, and adds."""
    found, free = answers[image.file_name], list(range(len(image.objects)))
    overlap = box_iou(found.boxes, [o.box for o in image.objects])
    for place in np.argsort(-found.scores, kind="stable").tolist():
        if found.scores[place] < LOWEST:
            continue
        class_id = int(found.class_ids[place])
        best = max(free, key=lambda n: overlap[place, n], default=None)
        o = float(overlap[place, best]) if best is not None else 0.0
        final, outcome = "", "deleted"
        if best is not None and o >= FIX_IOU:
            free.remove(best)
            final = str(image.objects[best].class_id)
            outcome = (
                "relabelled" if final != str(class_id) else "kept" if o >= KEEP_IOU else "nudged"
            )
        score = float(found.scores[place])
        yield Correction(1, number, 0, place, outcome, str(class_id), final, o, score, "m")  # type: ignore[arg-type]
    for n in free:
        label = str(image.objects[n].class_id)
        yield Correction(1, number, 0, -n - 1, "added", "", label, None, None, "m")


def _f1_optimal(rows: list[Correction]) -> float:
    """Return the threshold of the best F1 on what was learnt from."""
    scores = np.array([r.score for r in rows if r.score is not None])
    right = np.array(
        [r.outcome in ("kept", "nudged", "relabelled") for r in rows if r.score is not None], bool
    )
    objects = sum(row.outcome != "deleted" for row in rows)
    best, at = -1.0, USED
    for threshold in np.linspace(USED, 0.95, 66):
        shown = scores >= threshold
        hits = int((shown & right).sum())
        f1 = 2 * hits / max(int(shown.sum()) + objects, 1)
        if f1 > best:
            best, at = f1, float(threshold)
    return at


def mistakes_figures(data: Set, answers: Mapping[str, Detections], kind: str) -> list[Figure]:
    """Plant faults in the labels, and measure the list before and after reviews of its top."""
    top, recall, before, after, reviewed = [], [], [], [], []
    for seed in range(PLANTINGS):
        frames, faults = _planted(data, answers, np.random.default_rng(seed))
        rows = suspects(frames, data.classes)
        right = [_is_fault(row, faults) for row in rows]
        count = sum(map(len, faults.values()))
        top.append(np.mean(right[:count]) if rows else 0.0)
        recall.append(sum(right[:count]) / count)
        half = min(max(20, count // 2), len(rows) // 2)
        told = list(zip(rows[:half], right[:half], strict=True))
        left = rows[half:]
        order, _ = ranked(left, told)
        verdict = {id(row): ok for row, ok in zip(left, right[half:], strict=True)}
        size = min(half, len(left))
        before.append(np.mean(right[half : half + size]))
        after.append(np.mean([verdict[id(row)] for row in order[:size]]))
        reviewed.append(half)
    note = (
        f"{FAULTS:.0%} of the labels removed, renamed or moved, {PLANTINGS} plantings; recall at "
        f"as many as were planted {np.mean(recall):.2f}; {kind}"
    )
    return [
        Figure(f"mistakes_precision/{data.name}", float(np.mean(top)), "share", note=note),
        Figure(
            f"mistakes_precision_fed_back/{data.name}",
            float(np.mean(after)),
            "share",
            peer="the same part of the list, not fed back",
            peer_value=float(np.mean(before)),
            ratio=float(np.mean(after) / max(np.mean(before), 1e-9)),
            note=f"of the next {np.mean(reviewed):.0f} after {np.mean(reviewed):.0f} were resolved",
        ),
    ]


def _planted(
    data: Set, answers: Mapping[str, Detections], rng: np.random.Generator
) -> tuple[list[DisputedFrame], dict[int, list[tuple[str, tuple[float, ...]]]]]:
    frames, faults = [], {}
    for number, image in enumerate(i for part in ("holdout", "pool") for i in data.part(part)):
        objects, wrong = [], []
        for place, item in enumerate(image.objects):
            x1, y1, x2, y2 = map(float, item.box)
            box, label = (x1, y1, x2, y2), item.class_id
            if rng.random() < FAULTS:
                kind = rng.choice(["removed", "renamed", "moved"])
                if kind == "renamed" and len(data.classes) > 1:
                    label = int((label + rng.integers(1, len(data.classes))) % len(data.classes))
                elif kind == "moved":
                    shift = np.tile(rng.choice([-1, 1], 2) * 0.4 * (x2 - x1, y2 - y1), 2)
                    moved = np.clip(np.array(box) + shift, 0, [image.width, image.height] * 2)
                    box = (float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3]))
                else:
                    wrong.append(("removed", box))
                    continue
                wrong.append((str(place), box))
            objects.append(
                LabelledObject(
                    data.classes[label], "rectangle", box, (), None, "manual", 1.0, place
                )
            )
        faults[number] = wrong
        found = answers[image.file_name]
        sure = found.scores >= LOWEST
        kept = Detections(found.boxes[sure], found.scores[sure], found.class_ids[sure])
        frames.append(DisputedFrame(1, 1, number, tuple(objects), kept))
    return frames, faults


def _is_fault(one: Suspect, faults: Mapping[int, list[tuple[str, tuple[float, ...]]]]) -> bool:
    return any(
        str(one.cvat_id) == what
        if one.cvat_id is not None
        else what == "removed" and float(box_iou([one.box], [box])[0, 0]) >= FIX_IOU
        for what, box in faults[one.frame]
    )


def people_figures(folder: Path, names: tuple[str, ...], cache: Path) -> list[Figure]:
    """Measure all three. cache: where fits lie; a set without one takes drawn detectors."""
    figures = savings_figures()
    for name in names:
        data = read_set(folder / name)
        answers, kind = _answers(data, cache / name)
        figures += threshold_figures(data, answers, kind)
        if len(data.classes) > 1:
            figures += mistakes_figures(data, answers, kind)
    return figures


def _answers(data: Set, cache: Path) -> tuple[dict[str, Detections], str]:
    if cache.is_dir():
        from tests.bench.paging.fits import answers_of, default_way

        found = answers_of(data, None, default_way(), cache, fit=False)
        if found is not None:
            return found, "heads on frozen features"
    rng = np.random.default_rng(0)
    images = [image for part in ("holdout", "pool") for image in data.part(part)]
    made = {image.file_name: answer(image, None, len(data.classes), rng) for image in images}
    return made, "a detector drawn by chance"
