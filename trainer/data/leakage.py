"""Detect leakage of evaluation frames into the training data.

An evaluation frame leaks when a training frame is a near-duplicate of it or belongs to the same
group (a video, a scene). Metrics on such frames measure memorisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.fingerprints import BITS, WITHIN, difference_hash, hash_distances

_TRAINED_ON = ("train", "val")  # val decides early stopping, so it influences the weights too
_BLOCK = 512


@dataclass(frozen=True)
class Leak:
    """An evaluation frame, and the training frame that leaks it.

    bits: in which the two hashes differ, 0..256, or None when only the group is the same.
    """

    evaluated: str
    trained_on: str
    bits: int | None


@dataclass(frozen=True)
class Leakage:
    """The result. evaluated, trained_on: number of frames; within: threshold in bits of 256."""

    split: str
    evaluated: int
    trained_on: int
    within: int
    leaks: tuple[Leak, ...]

    @property
    def share(self) -> float:
        """Return the share of evaluation frames that leak, 0..1."""
        return len(self.leaks) / self.evaluated if self.evaluated else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the result as a sentence, none if nothing leaks."""
        if not self.leaks:
            return ()
        first = self.leaks[0]
        how = "of the same group" if first.bits is None else f"{first.bits} of {BITS} bits differ"
        finding = f"{len(self.leaks)} of {self.evaluated} {self.split} frames are near-duplicates"
        finding += " of training frames"
        example = f"{first.evaluated} is {first.trained_on} ({how})"
        return (f"{finding}, so the metrics are too good: {example}.",)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "split": self.split,
            "judged": self.evaluated,
            "learnt": self.trained_on,
            "within": self.within,
            "share": self.share,
            "leaks": [
                {"judged": leak.evaluated, "learnt": leak.trained_on, "bits": leak.bits}
                for leak in self.leaks
            ],
        }


def find_leaks(
    dataset: Dataset,
    *,
    split: str = "holdout",
    within: int = WITHIN,
    known: Mapping[str, str] | None = None,
    other: Dataset | None = None,
    by_group: bool = True,
) -> Leakage:
    """Compare every frame of the split with every frame of train and val.

    other: the dataset of train and val, if it is not this one. by_group: whether groups of the same
    name in both are the same group. within: maximum difference of the hashes of near-duplicates, in
    bits. known: file_name → difference hash, for images that need not be read again. Each leaking
    frame is reported once, with the nearest training frame. Raises DatasetError when an image
    cannot be read.
    """
    evaluated = dataset.split(split)
    source = other or dataset
    parts = [part for part in _TRAINED_ON if other is not None or part != split]
    trained_on = [i for part in parts for i in source.split(part)]
    leaks: list[Leak] = []
    if evaluated and trained_on:
        named = reversed(trained_on) if by_group else ()
        groups = {i.group: i.file_name for i in named if i.group is not None}
        ours = _hashes(dataset, evaluated, known or {})
        theirs = _hashes(source, trained_on, known or {})
        for start in range(0, len(evaluated), _BLOCK):
            far = hash_distances(ours[start : start + _BLOCK], theirs)
            for row, image in zip(far, evaluated[start : start + _BLOCK], strict=True):
                nearest = int(row.argmin())
                if row[nearest] <= within:
                    name = trained_on[nearest].file_name
                    leaks.append(Leak(image.file_name, name, int(row[nearest])))
                elif image.group in groups:
                    leaks.append(Leak(image.file_name, groups[image.group], None))
    return Leakage(split, len(evaluated), len(trained_on), within, tuple(leaks))


def _hashes(
    dataset: Dataset, images: Sequence[AnnotatedImage], known: Mapping[str, str]
) -> list[str]:
    return [known.get(i.file_name) or difference_hash(dataset.read(i)) for i in images]
