"""What a person should know of a dataset before a model is learnt from it."""

from __future__ import annotations

from trainer.data.dataset import Dataset
from trainer.errors import DatasetError

JUDGES = ("holdout", "test", "val")  # in this order: val may have stopped the fit
_SHOWN = 10


def judge_of(dataset: Dataset, split: str) -> str | None:
    """Return the part to evaluate on, or None; "auto" takes the first of JUDGES with frames.

    Raises DatasetError when a part is asked for that has no frame.
    """
    if split == "none":
        return None
    if split == "auto":
        return next((s for s in JUDGES if dataset.split(s)), None)
    if not dataset.split(split):
        there = ", ".join(f"{s} {len(dataset.split(s))}" for s in ("train", *JUDGES))
        raise DatasetError(
            dataset.path, f"split {split}", f"has no image to evaluate on; there are: {there}"
        )
    return split


def notes_on(dataset: Dataset, split: str) -> list[str]:
    """Return what is odd in a dataset but can be learnt from, a sentence each.

    split: what to evaluate on. Raises DatasetError when there is nothing to learn from, and when
    the part to evaluate on is empty.
    """
    train = dataset.split("train")
    if not dataset.images:
        raise DatasetError(dataset.path, "images", "the dataset is empty: it has no image at all")
    if not train:
        raise DatasetError(dataset.path, "split train", "has no image to learn from")
    judge = judge_of(dataset, split)
    notes = list(dataset.warnings[:_SHOWN])
    if len(dataset.warnings) > _SHOWN:
        notes.append(f"… and {len(dataset.warnings) - _SHOWN} more such objects")
    if len(train) == 1:
        notes.append("the train part has one image: a model of it finds little elsewhere")
    if judge is None and split != "none":
        notes.append("no part of the dataset is held out: nobody can say how good the model is")
    if judge is not None and len(dataset.split(judge)) == 1:
        notes.append(f"the {judge} part has one image: its figures say little")
    counts = {part: _examples(dataset, part) for part in ("train", judge) if part is not None}
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
