"""The shipped weights, reproduced by one command from the sets named in their card.

    python -m trainer.backends.extreme_points.recipe --data <folder of sets> --out DIR

Only photos whose licence lets weights ship are learnt from, and only their train parts: of
coco_seg200 those under Attribution, Attribution-ShareAlike and no known restrictions (COCO's
licences 4, 5 and 7), of nuclei_seg (CC0) and ccp_seg (Apache-2.0) all; besides composed scenes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.backends.extreme_points import BACKEND
from trainer.bundle import Bundle, with_metrics
from trainer.dataset import ANNOTATIONS, Dataset, load_dataset
from trainer.detector import FitConfig, Progress
from trainer.engines import load_interactor
from trainer.errors import ConfigError
from trainer.interactor_gate import measure

SOURCES = ("coco_seg200", "nuclei_seg", "ccp_seg")
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
        ],
        "composed": "objects of these on other backgrounds, and made shapes with their textures",
    },
}
TESTED = 200  # objects of each set's test part
EXTRA: dict[str, Any] = {
    "composed": 0.3,
    "most": 4000,
    "width": 16,
}


# What has the most left to learn comes more often at the end.
HARD = {"coco_seg200": 0.5, "ccp_seg": 0.35, "nuclei_seg": 0.15}
SHARES = {"coco_seg200": 0.45, "ccp_seg": 0.35, "nuclei_seg": 0.2}


@dataclass(frozen=True)
class Stage:
    """One fit of the chain: the side of its crops in pixels, its batches, see Variation.tremble.

    shares: of its objects, by the set they are from.
    """

    name: str
    size: int
    rate: float
    steps: int
    tremble: float
    batch: int = 16
    ema: float = 0.995
    shares: Mapping[str, float] = field(default_factory=SHARES.copy)

    def config(self, share: float, base: Path | None) -> FitConfig:
        """Return the fit's settings. share: of its batches. base: what the stage before gave."""
        steps = max(1, round(share * self.steps))
        extra = {
            "steps": steps,
            "tremble": self.tremble,
            "ema": self.ema,
            "shares": dict(self.shares),
        }
        return FitConfig(
            "extreme_points",
            batch_size=self.batch,
            learning_rate=self.rate,
            image_size=(self.size, self.size),
            base=base,
            extra=EXTRA | extra,
        )


# Small crops first, where a step costs a quarter, and once more; each stage warms up again. From
# the third on hands tremble. Batches of eight fit a processor's cache: twice the steps in a time.
STAGES = (
    Stage("coarse", 64, 3e-3, 2000, 0.0),
    Stage("fine", 128, 2e-3, 930, 0.0),
    Stage("broad", 64, 2.5e-3, 3000, 6.0, ema=0.998),
    Stage("last", 128, 1.5e-3, 4500, 7.0, batch=8, ema=0.998),
    Stage("long", 128, 1.5e-3, 7000, 7.0, batch=8, ema=0.998, shares=HARD),
)


def gather(sets: Path, destination: Path) -> Path:
    """Write one dataset of the allowed train images of the sets, as links; return its folder."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (destination / "images").mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
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
                    "split": "train",
                    "source": source,
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
            }
            for place, row in enumerate(
                row for row in content["annotations"] if row["image_id"] in ids
            )
        ]
    categories = [{"id": 1, "name": "object"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (destination / ANNOTATIONS).write_text(json.dumps(content), encoding="utf-8")
    return destination


def figures(bundle: Bundle, sets: Path) -> dict[str, float]:
    """Return the IoU at four points on the test part of each set."""
    interactor = load_interactor(bundle)
    return {
        f"iou4/{source}": round(
            measure(interactor, load_dataset(sets / source), split="test", most=TESTED).mean, 4
        )
        for source in SOURCES
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Gather, learn, export; a run that was stopped goes on where it was."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.backends.extreme_points.recipe", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run and the bundle")
    parser.add_argument("--share", type=float, default=1.0, help="of the batches, for a trial")
    given = parser.parse_args(arguments)
    dataset = load_dataset(gather(given.data, given.out / "data"))
    checkpoint = _learn(dataset, given.share, given.out)
    bundle = BACKEND.export(checkpoint, given.out / "weights", card=CARD)
    bundle = with_metrics(bundle, figures(bundle, given.data))
    print(f"{bundle.path}: version {bundle.version}")
    return 0


def _learn(dataset: Dataset, share: float, out: Path) -> Path:
    checkpoint: Path | None = None
    for stage in STAGES:
        config = stage.config(share, checkpoint)
        checkpoint = BACKEND.fit(dataset, config, run_dir=out / stage.name, report=_tell)
    if checkpoint is None:
        raise ConfigError(["the recipe has no stage"])
    return checkpoint


def _tell(progress: Progress) -> None:
    if progress.stage == "fit" and progress.done % 20 == 0:
        figures = " ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
        print(f"step {progress.done}: {figures}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
