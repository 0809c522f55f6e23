"""Whether a model was shown, while it learnt, what it is judged by.

A frame of the judging part leaks when a frame it learnt from is nearly the same picture, or is of
the same group (a video, a scene). Figures on such frames tell what was memorised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.fingerprints import BITS, WITHIN, difference_hash, hash_distances

_TRAINED_ON = ("train", "val")  # val ends a fit early, so it shapes the weights too
_BLOCK = 512


@dataclass(frozen=True)
class Leak:
    """A frame of the judging part, and the one that gives it away.

    bits: in which the two pictures differ, 0..256, or None when only their group is the same.
    """

    evaluated: str
    trained_on: str
    bits: int | None


@dataclass(frozen=True)
class Leakage:
    """What was looked for and found. judged, learnt: frames on each side; within: bits of 256."""

    split: str
    evaluated: int
    trained_on: int
    within: int
    leaks: tuple[Leak, ...]

    @property
    def share(self) -> float:
        """How much of the judging part leaks, 0..1."""
        return len(self.leaks) / self.evaluated if self.evaluated else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """The finding as a sentence, none when all is clean."""
        if not self.leaks:
            return ()
        first = self.leaks[0]
        how = "of the same group" if first.bits is None else f"{first.bits} of {BITS} bits differ"
        finding = f"{len(self.leaks)} of {self.evaluated} {self.split} frames are nearly frames learnt from"
        return (
            f"{finding}, so the figures flatter: {first.evaluated} is {first.trained_on} ({how}).",
        )

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
    """Hold every frame of the part against every frame of train and val.

    other: the dataset of train and val, where it is not this one. by_group: whether groups of the
    two of one name are one.
    within: most bits of the difference hashes that may differ in near-duplicates. known:
    file_name → difference hash, for those whose pixels need not be read again. Each leaking frame
    is told once, with the nearest frame. Raises DatasetError when an image cannot be read.
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
