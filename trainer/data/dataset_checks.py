"""Checks of a dataset before training."""

from __future__ import annotations

from trainer.data.dataset import Dataset
from trainer.errors import DatasetError

EVALUATION_SPLITS = ("holdout", "test", "val")  # in this order: val may have influenced the fit
_SHOWN = 10


def evaluation_split(dataset: Dataset, split: str) -> str | None:
    """Return the split to evaluate on, or None; "auto" takes the first that has frames.

    "auto" follows the order of EVALUATION_SPLITS. Raises DatasetError when the requested split has
    no frame.
    """
    if split == "none":
        return None
    if split == "auto":
        return next((s for s in EVALUATION_SPLITS if dataset.split(s)), None)
    if not dataset.split(split):
        there = ", ".join(f"{s} {len(dataset.split(s))}" for s in ("train", *EVALUATION_SPLITS))
        raise DatasetError(
            dataset.path, f"split {split}", f"has no image to evaluate on; available are: {there}"
        )
    return split


def dataset_notes(dataset: Dataset, split: str) -> list[str]:
    """Return a sentence for each oddity of a dataset that does not prevent training.

    split: to evaluate on. Raises DatasetError when there is nothing to train on, and when the
    evaluation split is empty.
    """
    train = dataset.split("train")
    if not dataset.images:
        raise DatasetError(dataset.path, "images", "the dataset is empty: it has no image")
    if not train:
        raise DatasetError(dataset.path, "split train", "has no image to train on")
    part_evaluated = evaluation_split(dataset, split)
    notes = list(dataset.warnings[:_SHOWN])
    if len(dataset.warnings) > _SHOWN:
        notes.append(f"… and {len(dataset.warnings) - _SHOWN} more such objects")
    if len(train) == 1:
        notes.append("the train part has one image: a model trained on it finds little elsewhere")
    if part_evaluated is None and split != "none":
        notes.append("no part of the dataset is held out: the model's quality cannot be measured")
    if part_evaluated is not None and len(dataset.split(part_evaluated)) == 1:
        notes.append(f"the {part_evaluated} part has one image: its metrics are unreliable")
    counts = {
        part: _examples(dataset, part) for part in ("train", part_evaluated) if part is not None
    }
    for name in dataset.labels:
        for part, known in counts.items():
            if not known.get(name):
                notes.append(
                    f"class {name!r} has no example in {part}: "
                    + ("it cannot be learned" if part == "train" else "it cannot be evaluated")
                )
    return notes


def _examples(dataset: Dataset, part: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for image in dataset.split(part):
        for item in image.objects:
            if not item.crowd:
                name = dataset.labels.names[item.class_id]
                found[name] = found.get(name, 0) + 1
    return found
