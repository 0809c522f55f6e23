"""Mask to polygon against cv2.approxPolyDP: vertices at the same IoU, and the time it takes.

    python -m tests.bench.polygon --data <folder in COCO form> [--objects 150]

For each mask (its largest part, holes filled) approxPolyDP may choose its best of three contours
(the editor's, the cracks', their middles) and of many epsilons: the fewest vertices that reach
the IoU which ours reached on that mask.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from serverless.polygon.contour import Ring, area, rings
from serverless.polygon.polygons import Polygon, polygons_from_mask, rasterize
from tests.bench.figures import Figure, write

EPSILONS = (*np.arange(0.4, 3, 0.1), *np.arange(3, 8, 0.2), *np.arange(8, 20, 0.5))
IOUS = (0.90, 0.95, 0.97)
LEAST_AREA = 100  # pixels; below, a mask has no shape to speak of
ROOM = 30

Bitmap = NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write tests/bench/results/polygon.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.polygon", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder in COCO form with masks; else blobs")
    parser.add_argument("--objects", type=int, default=150, help="masks, taken at random")
    given = parser.parse_args(arguments)
    name = given.data.name if given.data else "blobs"
    found = coco_masks(given.data, given.objects) if given.data else map(blob, range(30))
    masks = [np.pad(largest_part(mask), ROOM) for mask in found]
    peers = [approxpolydp(mask) for mask in masks]
    figures = []
    for least in IOUS:
        ours, theirs, reached, seconds = [], [], [], []
        for mask, peer in zip(masks, peers, strict=True):
            began = time.process_time()
            polygons = polygons_from_mask(mask, min_iou=least)
            seconds.append(time.process_time() - began)
            score = iou(rasterize(polygons, mask.shape), mask)
            reached.append(score)
            ours.append(sum(polygon.vertices for polygon in polygons))
            theirs.append(min(count for other, count in peer if other >= score))
        note = f"{len(masks)} masks, mean IoU {np.mean(reached):.3f}, median {np.median(ours):g}"
        mean, base = float(np.mean(ours)), float(np.mean(theirs))
        figures += [
            Figure(
                f"vertices/{name}@{least:g}",
                mean,
                "vertices",
                "approxPolyDP at equal IoU",
                base,
                mean / base,
                note,
            ),
            Figure(
                f"polygon_ms/{name}@{least:g}",
                1000 * float(np.median(seconds)),
                "ms of CPU",
                note=f"p95 {1000 * np.percentile(seconds, 95):.1f} ms",
            ),
        ]
    write("polygon", figures)


def approxpolydp(mask: Bitmap) -> list[tuple[float, int]]:
    """Return (IoU, vertices) of every epsilon on every contour, the border itself included."""
    # As the editor traces: grown by a pixel to the right and down.
    grown = cv2.dilate(np.pad(mask, 1).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    editor = np.asarray(max(contours, key=len)[:, 0], np.float64) - 1
    cracks = max(rings(mask), key=area)
    found = [(1.0, len(cracks))]
    for contour in (editor, cracks, (cracks + np.roll(cracks, -1, axis=0)) / 2):
        for epsilon in EPSILONS:
            thin: Ring = cv2.approxPolyDP(
                contour.astype(np.float32)[:, None], float(epsilon), closed=True
            )[:, 0].astype(np.float64)
            if len(thin) < 3:
                break
            found.append((iou(rasterize([Polygon(thin)], mask.shape), mask), len(thin)))
    return found


def coco_masks(folder: Path, count: int) -> Iterator[Bitmap]:
    """Yield the masks of a COCO folder in a random order that is always the same."""
    content = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    objects = [
        row
        for row in content["annotations"]
        if row["area"] >= LEAST_AREA and not row.get("iscrowd") and row.get("segmentation")
    ]
    random.Random(3).shuffle(objects)
    for row in objects[:count]:
        shape = row["segmentation"]
        if isinstance(shape, list) or isinstance(shape["counts"], list):
            shape = coco_mask.frPyObjects(shape, *sizes[row["image_id"]])
        merged = coco_mask.merge(shape) if isinstance(shape, list) else shape
        yield coco_mask.decode(merged).astype(bool)


def blob(seed: int) -> Bitmap:
    """Make a smooth shape: the hardest case, since no vertex can be where the border turns."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((220, 220)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 12 + seed % 12) > 0, np.bool_)


def largest_part(mask: Bitmap) -> Bitmap:
    """Return the largest part, holes filled, cut to its box."""
    outer = max(rings(mask), key=area)
    left, top = outer.min(axis=0).astype(int)
    width, height = (outer.max(axis=0) - (left, top)).astype(int)
    return rasterize([Polygon(outer - (left, top))], (height, width))


def iou(one: Bitmap, other: Bitmap) -> float:
    """Return the intersection over the union of two masks."""
    return float((one & other).sum() / (one | other).sum())


if __name__ == "__main__":
    main()
