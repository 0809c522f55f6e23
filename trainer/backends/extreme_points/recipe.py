"""Reproduce the shipped weights by one command from the datasets named in their card.

    python -m trainer.backends.extreme_points.recipe --data <folder of sets> --out DIR

Training uses only photos whose licence allows the weights to be distributed, and only their train
parts: of coco_seg200 those under Attribution, Attribution-ShareAlike and no known restrictions
(COCO's licences 4, 5 and 7), of nuclei_seg (CC0), ccp_seg (Apache-2.0) and open_seg (chosen by
licence) all; and composed scenes.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.backends.extreme_points import BACKEND
from trainer.bundles.bundle import Bundle, with_metrics
from trainer.data.dataset import ANNOTATIONS, Dataset, load_dataset
from trainer.detector import FitConfig, Progress
from trainer.engines import load_interactor
from trainer.gate.interactor_gate import measure

SOURCES = ("coco_seg200", "nuclei_seg", "ccp_seg", "open_seg")
COCO_LICENCES = (4, 5, 7)
CARD: dict[str, Any] = {
    "name": "extreme points, general",
    "licence": "Apache-2.0",
    "min_score": 0.0,
    "extra": {
        "recipe": "python -m trainer.backends.extreme_points.recipe --data <sets> --out DIR",
        "data": [
            {
                "name": "coco_seg200",
                "part": "train",
                "licence": "photos of CC BY 2.0, CC BY-SA 2.0 and no known restrictions only; "
                "annotations CC BY 4.0",
            },
            {"name": "nuclei_seg", "part": "train", "licence": "CC0-1.0"},
            {"name": "ccp_seg", "part": "train", "licence": "Apache-2.0"},
            {
                "name": "open_seg",
                "part": "train",
                "licence": "COCO photos of CC BY 2.0, CC BY-SA 2.0 and no known restrictions, "
                "Open Images photos of CC BY 2.0, photos of ten sets under CC BY 4.0 or MIT as "
                "their uploaders state",
            },
        ],
        "composed": "objects of these on other backgrounds, and made shapes with their textures",
        "encoder": "EfficientNet-Lite0, ImageNet weights of Google (Apache-2.0), learnt further",
    },
}
TESTED = 200  # objects of each set's test part
HELD_OUT = 20  # one in this many train photos is held out, to calibrate the IoU estimate

# How often an object of a dataset is sampled: general objects most, no single scene too often.
SHARES = {
    "coco_seg200": 0.14,
    "ccp_seg": 0.14,
    "nuclei_seg": 0.10,
    "open_seg/coco": 0.29,
    "open_seg/animals": 0.17,
    "open_seg/facade": 0.02,
    "open_seg/kuih": 0.02,
    "open_seg/mcu": 0.02,
    "open_seg/ampgcv": 0.02,
    "open_seg/bread": 0.02,
    "open_seg/strawberry": 0.02,
    "open_seg/mushroom": 0.01,
    "open_seg/granular": 0.01,
    "open_seg/treepheno": 0.01,
    "open_seg/qr": 0.01,
}
# Batches of eight fit a processor's cache.
FIT = FitConfig(
    "extreme_points",
    batch_size=8,
    extra={
        "backbone": "lite0",
        "width": 16,
        "composed": 0.25,
        "corrupted": 0.25,
        "click_jitter": 6.0,
        "corrected": 0.15,
        "boxes": 0.12,
        "max_objects": 2500,
        "weight_decay": 0.02,
        "shares": SHARES,
    },
)


def _stage(
    rate: float, size: int, seed: int, steps: int, ema: float, warmup: float, grow: float = 0.0
) -> FitConfig:
    """Return FIT for one stage; grow: share of steps on 128 px crops before those of `size`."""
    own = {"steps": steps, "ema": ema, "warmup": warmup, "initial_share": grow}
    return dataclasses.replace(
        FIT,
        learning_rate=rate,
        image_size=(size, size),
        seed=seed,
        extra={**FIT.extra, **own, "initial_size": 128 if grow else 0},
    )


# Each starts from the one before. Small crops first: a step on them costs less than half.
STAGES = (
    _stage(2e-3, 128, 7, 518, 0.996, 0.05),
    _stage(1.2e-3, 128, 11, 197, 0.985, 0.08),
    _stage(1.5e-3, 160, 21, 3300, 0.995, 0.03, 0.5),
    _stage(1.3e-3, 192, 31, 1000, 0.992, 0.04, 0.35),
)


def gather(
    sets: Path, destination: Path, sources: Sequence[str] = SOURCES, *, held: int = HELD_OUT
) -> Path:
    """Write one dataset of the permitted train images, as links; return its folder.

    held: one photo in this many becomes part of val, chosen by its name; 0 for none.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (destination / "images").mkdir(parents=True, exist_ok=True)
    for source in sources:
        content = json.loads((sets / source / ANNOTATIONS).read_text(encoding="utf-8"))
        ids: dict[int, int] = {}
        for row in content["images"]:
            if row["split"] != "train":
                continue
            if source == "coco_seg200" and row["license"] not in COCO_LICENCES:
                continue
            name = f"{source}-{row['file_name']}"
            link = destination / "images" / name
            link.unlink(missing_ok=True)
            link.symlink_to((sets / source / "images" / row["file_name"]).resolve())
            ids[row["id"]] = len(images) + 1
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": name,
                    "width": row["width"],
                    "height": row["height"],
                    "split": "val" if held and _name_hash(name) % held == 0 else "train",
                    "source": f"{source}/{row['set']}" if "set" in row else source,
                }
            )
        annotations += [
            {
                "id": len(annotations) + 1 + place,
                "image_id": ids[row["image_id"]],
                "category_id": 1,
                "bbox": row["bbox"],
                "segmentation": row["segmentation"],
                "iscrowd": row.get("iscrowd", 0),
                "n_components": row.get("n_components", 1),
            }
            for place, row in enumerate(
                row for row in content["annotations"] if row["image_id"] in ids
            )
        ]
    categories = [{"id": 1, "name": "object"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (destination / ANNOTATIONS).write_text(json.dumps(content), encoding="utf-8")
    return destination


def _name_hash(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


def figures(bundle: Bundle, sets: Path) -> dict[str, float]:
    """Return the IoU at four points on the test part of each dataset."""
    interactor = load_interactor(bundle)
    return {
        f"iou4/{source}": round(
            measure(interactor, load_dataset(sets / source), split="test", most=TESTED).mean, 4
        )
        for source in SOURCES
    }


def train_stages(dataset: Dataset, out: Path, share: float, hours: float | None) -> Path:
    """Fit the stages one after the other, each in a folder of its own; return the last checkpoint.

    share: of each stage's batches. hours: time limit, divided among the stages by their steps.
    """
    every = sum(stage.extra["steps"] for stage in STAGES)

    def fitted(number: int, base: Path | None) -> Path:
        stage = STAGES[number]
        steps = stage.extra["steps"]
        own = {"steps": max(1, round(share * steps)), "pretrained": base is None}
        limit = None if hours is None else 3600 * hours * steps / every
        config = dataclasses.replace(
            stage, base=base, extra={**stage.extra, **own}, time_limit=limit
        )
        return BACKEND.fit(
            dataset, config, run_dir=out / f"stage{number + 1}", report=_print_progress
        )

    checkpoint = fitted(0, None)
    for number in range(1, len(STAGES)):
        checkpoint = fitted(number, checkpoint)
    return checkpoint


def card_of(sources: Sequence[str]) -> dict[str, Any]:
    """Return the card of weights trained on these datasets only."""
    extra = CARD["extra"]
    data = [row for row in extra["data"] if row["name"] in sources]
    return {**CARD, "extra": {**extra, "data": data}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Gather the data, train in stages, export; an interrupted run resumes."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.backends.extreme_points.recipe", description=__doc__
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that contains the datasets"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the run and the bundle")
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the batches to train, for a trial"
    )
    parser.add_argument("--hours", type=float, help="time limit of the whole training, in hours")
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        choices=SOURCES,
        help="sets to leave out, to see how weights adapt to them",
    )
    given = parser.parse_args(arguments)
    sources = [source for source in SOURCES if source not in given.without]
    dataset = load_dataset(gather(given.data, given.out / "data", sources))
    checkpoint = train_stages(dataset, given.out, given.share, given.hours)
    bundle = BACKEND.export(checkpoint, given.out / "weights", card=card_of(sources))
    bundle = with_metrics(bundle, figures(bundle, given.data))
    print(f"{bundle.path}: version {bundle.version}")
    return 0


def _print_progress(progress: Progress) -> None:
    if progress.stage == "fit" and progress.done % 20 == 0:
        figures = " ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
        print(f"step {progress.done}: {figures}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
