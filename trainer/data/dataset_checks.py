"""What a person should know of a dataset before a model is learnt from it."""

from __future__ import annotations

from trainer.data.dataset import Dataset
from trainer.errors import DatasetError

EVALUATION_SPLITS = ("holdout", "test", "val")  # in this order: val may have stopped the fit
_SHOWN = 10


def evaluation_split(dataset: Dataset, split: str) -> str | None:
    """Return the part to evaluate on, or None; "auto" takes the first of EVALUATION_SPLITS with frames.

    Raises DatasetError when a part is asked for that has no frame.
    """
    if split == "none":
        return None
    if split == "auto":
        return next((s for s in EVALUATION_SPLITS if dataset.split(s)), None)
    if not dataset.split(split):
        there = ", ".join(f"{s} {len(dataset.split(s))}" for s in ("train", *EVALUATION_SPLITS))
        raise DatasetError(
            dataset.path, f"split {split}", f"has no image to evaluate on; there are: {there}"
        )
    return split


def dataset_notes(dataset: Dataset, split: str) -> list[str]:
    """Return what is odd in a dataset but can be learnt from, a sentence each.

    split: what to evaluate on. Raises DatasetError when there is nothing to learn from, and when
    the part to evaluate on is empty.
    """
    train = dataset.split("train")
    if not dataset.images:
        raise DatasetError(dataset.path, "images", "the dataset is empty: it has no image at all")
    if not train:
        raise DatasetError(dataset.path, "split train", "has no image to learn from")
    part_evaluated = evaluation_split(dataset, split)
    notes = list(dataset.warnings[:_SHOWN])
    if len(dataset.warnings) > _SHOWN:
        notes.append(f"… and {len(dataset.warnings) - _SHOWN} more such objects")
    if len(train) == 1:
        notes.append("the train part has one image: a model of it finds little elsewhere")
    if part_evaluated is None and split != "none":
        notes.append("no part of the dataset is held out: nobody can say how good the model is")
    if part_evaluated is not None and len(dataset.split(part_evaluated)) == 1:
        notes.append(f"the {part_evaluated} part has one image: its figures say little")
    counts = {
        part: _examples(dataset, part) for part in ("train", part_evaluated) if part is not None
    }
    for name in dataset.labels:
        for part, known in counts.items():
            if not known.get(name):
                notes.append(
                    f"class {name!r} has no example in {part}: "
                    + ("it cannot be learnt" if part == "train" else "nobody can judge it")
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
