"""Clicks to masks: how good at four points, how many clicks, how many vertices, how quick.

    python -m tests.bench.interactor --data <folder in COCO form> [--split test] [--tune 100]
        [--general BUNDLE] [--sam WEIGHTS] [--latency]

Ours is measured as it ships and after a fit on objects of the set's train part (--tune 0 leaves
that out): of --general, weights that never saw this set (the recipe's --without), or else of those
that ship. Without --data only the latency is measured, on a picture made here. The masks are those
that the function returns: redrawn by their polygon. The 12 best and 12 worst objects are drawn into
results/interactor_<set>.jpg.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cvat_bridge.training.micro_model import TUNING, TUNING_RATE
from serverless.polygon.polygons import polygons_from_mask, rasterize
from tests.bench.figures import RESULTS, Figure, write
from tests.bench.interacting import corrections, latency
from tests.bench.interacting.corrections import course
from tests.bench.interacting.objects import Target, jittered, targets
from tests.bench.interacting.peers import (
    Method,
    boxed,
    ellipse,
    estimated,
    grabcut,
    labelled,
    ours,
    quadrilateral,
    sam,
)
from tests.bench.interacting.people import POLYGON_SECONDS, work
from tests.bench.interacting.shapes import box_only, coinciding, outline, sheet
from tests.bench.polygon import approxpolydp, largest_part
from trainer.backends import backend
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset
from trainer.detector import FitConfig
from trainer.engines.interactor.click_constraints import enforce_clicks
from trainer.engines.interactor.clicks import EXTREME, parse_clicks
from trainer.evaluation.simulated_annotator import four_points, iou

SHIPPED = Path(__file__).parents[2] / "serverless" / "extreme_points" / "weights"
JITTER = 5.0  # pixels
LARGE = 80  # pixels of the root of an object's box, from where 5 px are a small share of it
NONE = np.zeros((0, 2))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write tests/bench/results/interactor.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.interactor", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder in COCO form with masks")
    parser.add_argument("--split", default="test", help="the part that is measured")
    parser.add_argument("--objects", type=int, default=150, help="drawn at random")
    parser.add_argument("--clicked", type=int, default=40, help="of them, corrected by clicks")
    parser.add_argument(
        "--tune", type=int, default=100, help="fine-tune on so many objects of the train part"
    )
    parser.add_argument("--steps", type=int, default=TUNING["steps"], help="batches of that fit")
    parser.add_argument(
        "--general", type=Path, default=SHIPPED, help="weights that the tuned ones begin with"
    )
    parser.add_argument("--bundle", type=Path, default=SHIPPED, help="weights in place of ours")
    parser.add_argument("--sam", type=Path, help="SAM weights that ultralytics reads")
    parser.add_argument("--latency", action="store_true", help="measure it, with --data too")
    given = parser.parse_args(arguments)
    if given.data:
        methods: dict[str, Method] = {
            "shipped": ours(given.bundle),
            "quadrilateral": quadrilateral,
            "ellipse": ellipse,
            "grabcut": grabcut,
        }
        if given.tune:
            methods["tuned"] = tuned(given.data, given.tune, given.steps, given.general)
        if given.sam:
            methods["sam"] = sam(given.sam)
        methods = {label: labelled(method) for label, method in methods.items()}
        found = list(targets(load_dataset(given.data), given.split, given.objects))
        name = given.data.name
        few = found[:: max(1, len(found) // given.clicked)]
        figures = quality(name, found, methods)
        if given.tune:
            figures.append(adapts(name, found, methods["tuned"], given.general))
        figures += kinds(name, found, methods["shipped"])
        figures += effort(name, few, methods)
        figures += vertices(name, few)
        answer = estimated(given.bundle)
        courses = [course(answer, target) for target in few]
        figures += corrections.figures(name, courses)
        figures.append(coinciding(name, few, methods["shipped"]))
        figures.append(box_only(name, few, labelled(boxed(given.bundle))))
        figures.append(outline(name, few, ours(given.bundle, raw=True), ours(given.bundle)))
        write("interactor", figures)
        draw(name, found, methods["shipped"])
    if given.latency or not given.data:
        write("interactor", latency.figures())


def tuned(data: Path, objects: int, steps: int, base: Path) -> Method:
    """Return weights after a fit on so many objects of the set's train part, as a round fits it."""
    general = read_bundle(base)
    network = general.card.settings["extra"]
    config = FitConfig(
        "extreme_points",
        batch_size=16,
        learning_rate=TUNING_RATE,
        image_size=general.card.input_size,
        base=base,
        extra={
            **TUNING,
            "steps": steps,
            "most": objects,
            "width": network["width"],
            "backbone": network["backbone"],
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        learner = backend("extreme_points")
        where = Path(folder)
        checkpoint = learner.fit(
            load_dataset(data), config, run_dir=where / "run", report=lambda _: None
        )
        bundle = learner.export(checkpoint, where / "bundle", card={})
        print(f"{data.name}: {bundle.card.extra['blend']}")
        return ours(bundle.path)


def adapts(name: str, found: Sequence[Target], method: Method, base: Path) -> Figure:
    """Return what the tuned weights gain at four points over the ones they began with."""
    general = labelled(ours(base))
    before, after = (
        float(np.mean([iou(one(t, four_points(t.mask), NONE), t.mask) for t in found]))
        for one in (general, method)
    )
    seen = [row["name"] for row in read_bundle(base).card.extra.get("data", ())]
    known = "had seen" if name in seen else "had never seen"
    note = f"{len(found)} objects; {after:.3f}; the general weights {known} this set"
    return Figure(f"adapts/{name}", after - before, "IoU", "general", before, after / before, note)


def kinds(name: str, found: Sequence[Target], method: Method) -> list[Figure]:
    """Return the IoU at four points for each part of a set that has parts; small ones together."""
    by_kind: dict[str, list[float]] = {}
    for target in found:
        value = iou(method(target, four_points(target.mask), NONE), target.mask)
        kind = target.kind if target.kind in _PARTS else "rest"
        by_kind.setdefault(kind, []).append(value)
    if set(by_kind) <= {"rest"}:
        return []
    return [
        Figure(f"iou4/{name}/{kind}", float(np.mean(v)), "IoU", note=f"{len(v)} objects, shipped")
        for kind, v in sorted(by_kind.items())
    ]


def draw(name: str, found: Sequence[Target], method: Method) -> None:
    """Write a picture of the best and the worst objects beside the figures."""
    masks = [method(target, four_points(target.mask), NONE) for target in found]
    ious = [iou(mask, target.mask) for mask, target in zip(masks, found, strict=True)]
    picture = sheet(found, masks, ious)[..., ::-1]
    path = RESULTS / f"interactor_{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 70])


def quality(name: str, found: Sequence[Target], methods: dict[str, Method]) -> list[Figure]:
    """Return the IoU at four points, exact and jittered, of every method."""
    figures = []
    ious: dict[str, list[float]] = {}
    shaken: dict[str, list[float]] = {}
    bound: list[float] = []
    sides = [np.ptp(four_points(target.mask), axis=0) + 1 for target in found]
    large = [float(np.sqrt(np.prod(side))) >= LARGE for side in sides]
    for place, target in enumerate(found):
        points = four_points(target.mask)
        moved = jittered(points, JITTER, np.random.default_rng(place), target.mask)
        for method, answer in methods.items():
            ious.setdefault(method, []).append(iou(answer(target, points, NONE), target.mask))
            shaken.setdefault(method, []).append(iou(answer(target, moved, NONE), target.mask))
        lawful = enforce_clicks(target.mask, parse_clicks(moved, NONE, None))
        bound.append(iou(lawful, target.mask))
    best = max((m for m in methods if m in _SIMPLE), key=lambda m: np.mean(ious[m]))
    peer = float(np.mean(ious[best]))
    for method in methods:
        values, value = ious[method], float(np.mean(ious[method]))
        good = [float(np.mean([v >= least for v in values])) for least in (0.85, 0.90)]
        against = (best, peer, value / peer) if method not in _SIMPLE else (None, None, None)
        figures.append(
            Figure(
                f"iou4/{name}/{method}",
                value,
                "IoU",
                *against,
                note=f"{len(values)} objects, {good[0]:.2f} above 0.85, {good[1]:.2f} above 0.90",
            )
        )
        jitter = float(np.mean(shaken[method]))
        note = f"each point {JITTER:g} px away; lost {value - jitter:.3f}"
        figures.append(Figure(f"iou4_jitter/{name}/{method}", jitter, "IoU", note=note))
        losses = [a - b for a, b, wide in zip(values, shaken[method], large, strict=True) if wide]
        if losses:
            note = f"{len(losses)} of {len(values)} objects, of {LARGE} px and more"
            lost = float(np.mean(losses))
            figures.append(Figure(f"jitter_lost_large/{name}/{method}", lost, "IoU", note=note))
    side = float(np.median([np.sqrt(np.prod(side)) for side in sides]))
    note = f"the true mask, cut to points {JITTER:g} px away; objects of {side:.0f} px, median"
    figures.append(Figure(f"jitter_bound/{name}", float(np.mean(bound)), "IoU", note=note))
    return figures


def effort(name: str, found: Sequence[Target], methods: dict[str, Method]) -> list[Figure]:
    """Return clicks and seconds to a finished object, of the methods that can be corrected."""
    figures = []
    for method, answer in methods.items():
        if method in ("quadrilateral", "ellipse"):
            continue
        done = [work(answer, target) for target in found]
        for label, wanted in (("clicks85", 0.85), ("clicks90", 0.90)):
            never = sum(max(one.ious) < wanted for one in done)
            value = float(np.mean([one.clicks(wanted) for one in done]))
            note = f"{len(done)} objects, {never} never; the first {EXTREME} are extreme"
            figures.append(Figure(f"{label}/{name}/{method}", value, "clicks", note=note))
        seconds = float(np.mean([one.to_finish(0.9) for one in done]))
        figures.append(
            Figure(
                f"seconds90/{name}/{method}",
                seconds,
                "s",
                "polygon by hand",
                POLYGON_SECONDS,
                seconds / POLYGON_SECONDS,
                "by the cost model of tests/bench/interacting/people.py",
            )
        )
    return figures


def vertices(name: str, found: Sequence[Target]) -> list[Figure]:
    """Return our polygons' vertices on the model's masks, and the editor's trace of both masks."""
    raw, drawn = ours(SHIPPED, raw=True), ours(SHIPPED)
    mine, theirs, traced, wiggly = [], [], [], []
    for target in found:
        points = four_points(target.mask)
        answer = raw(target, points, NONE)
        mask = np.pad(largest_part(answer), 30)
        polygons = polygons_from_mask(mask)
        reached = iou(rasterize(polygons, mask.shape), mask)
        mine.append(sum(p.vertices for p in polygons))
        theirs.append(min(count for other, count in approxpolydp(mask) if other >= reached))
        wiggly.append(editor_vertices(answer))
        traced.append(editor_vertices(drawn(target, points, NONE)))
    value, peer = float(np.mean(mine)), float(np.mean(theirs))
    median = f"{len(mine)} masks of the model, median {np.median(mine):g}"
    before, after = float(np.mean(wiggly)), float(np.mean(traced))
    return [
        Figure(
            f"vertices_ratio/{name}",
            value / peer,
            "ratio",
            "approxPolyDP at equal IoU",
            peer,
            value / peer,
            median,
        ),
        Figure(
            f"editor_vertices/{name}",
            after,
            "vertices",
            "the editor's trace of the raw mask",
            before,
            after / before,
            f"the editor's trace of what we return, median {np.median(traced):g}",
        ),
    ]


def editor_vertices(mask: np.ndarray) -> int:
    """Count what CVAT's editor traces: a dilated mask, its longest contour, its usual accuracy."""
    grown = cv2.dilate(np.pad(mask, 1).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0
    longest = max(contours, key=len)
    return len(cv2.approxPolyDP(longest, (2.75 * 4 - 1) / 7, closed=True))


_PARTS = ("coco", "animals")  # of a set: those large enough to be told apart
_SIMPLE = ("quadrilateral", "ellipse", "grabcut")

if __name__ == "__main__":
    main()
