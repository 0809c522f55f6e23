"""What fine-tuning gains over its base and over training from scratch, on the same test frames.

For each set a base is learnt on the other sets of ../shared/data (none of its frames, none of its
classes), then a few train frames of the set are learnt twice with the same settings and steps:
once from the base and once from nothing. All three are judged, as exported, on its test part.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.figures import Figure, write
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset
from trainer.detector import FitConfig
from trainer.engines import load
from trainer.evaluation.evaluate import evaluate
from trainer.runs.run import run_fit

SHARED = Path(__file__).parents[3] / "shared" / "data"
SETS = ("raccoon_det", "bccd_det")


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn the bases and both models of each set, and write the gains."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gain", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of sets in COCO form")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--frames", type=int, default=40, help="train frames of the set")
    parser.add_argument("--base-frames", type=int, default=120, help="of each other set")
    parser.add_argument("--base-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args(arguments)
    found = {p.name: load_dataset(p) for p in sorted(given.data.iterdir()) if p.is_dir()}
    for name in given.sets:
        with tempfile.TemporaryDirectory() as folder:
            others = {k: v for k, v in found.items() if k != name}
            figure = gain(Path(folder), name, found[name], others, given)
        write("training", [figure])


def gain(
    folder: Path,
    name: str,
    target: Dataset,
    others: dict[str, Dataset],
    given: argparse.Namespace,
) -> Figure:
    """Measure one set: AP of the base, fine-tuned, and from scratch, over the seeds."""
    broad = mixed(folder / "broad", others, given.base_frames)
    few = {"train": given.frames, "test": None}
    narrow = gathered(folder / "narrow", target.labels, [(target, few, target.labels.names)])
    settings = FitConfig("centernet", image_size=(144, 192), extra={"steps": given.base_steps})
    base = run_fit(broad.path, settings, folder / "base", split="none", report=lambda _: None)
    zero = evaluate(load(base.bundle), narrow, split="test").ap or 0.0
    tuned: list[float] = []
    scratch: list[float] = []
    for seed in range(given.seeds):
        for start, reached in ((base.bundle.path, tuned), (None, scratch)):
            config = replace(settings, base=start, seed=seed, extra={"steps": given.steps})
            out = folder / f"{seed}-{start is not None}"
            fitted = run_fit(narrow.path, config, out, split="test", report=lambda _: None)
            if fitted.evaluation is None or fitted.evaluation.ap is None:
                raise ValueError(f"{name}: its test part has no object")
            reached.append(fitted.evaluation.ap)
    ours, theirs = sum(tuned) / len(tuned), sum(scratch) / len(scratch)
    note = (
        f"AP {ours:.3f} fine-tuned {[round(v, 3) for v in tuned]}, {theirs:.3f} from scratch "
        f"{[round(v, 3) for v in scratch]}, {zero:.3f} the base, which has none of its classes; "
        f"{len(narrow.split('train'))} train and {len(narrow.split('test'))} test frames, "
        f"{given.steps} steps, base of {len(broad.images)} frames and {given.base_steps} steps"
    )
    return Figure(
        f"finetune_gain/{name}",
        100 * (ours - zero),
        "AP points over the base",
        "from scratch, same settings",
        100 * (theirs - zero),
        ours / theirs if theirs else None,
        note,
    )


def mixed(folder: Path, sets: dict[str, Dataset], frames: int) -> Dataset:
    """Write the train parts of several sets as one; every set is one class, its objects."""
    named = {k: (f"object of {k}",) * len(v.labels) for k, v in sets.items()}
    labels = LabelMap(tuple(names[0] for names in named.values()))
    return gathered(folder, labels, [(v, {"train": frames}, named[k]) for k, v in sets.items()])


def gathered(
    folder: Path,
    labels: LabelMap,
    parts: Sequence[tuple[Dataset, dict[str, int | None], tuple[str, ...]]],
) -> Dataset:
    """Write frames of several datasets as one. parts: dataset, frames a split, its class names."""
    images: list[AnnotatedImage] = []
    sources: dict[str, Path] = {}
    for dataset, wanted, names in parts:
        for split, count in wanted.items():
            for image in dataset.split(split)[:count]:
                objects = tuple(
                    replace(o, class_id=labels.id_of(names[o.class_id]), segmentation=None)
                    for o in image.objects
                )
                file_name = f"{dataset.path.name}-{image.file_name.replace('/', '-')}"
                images.append(replace(image, file_name=file_name, objects=objects, extra={}))
                sources[file_name] = dataset.file(image)
    return write_dataset(folder, labels=labels, images=images, sources=sources)


if __name__ == "__main__":
    main()
