"""Results of an evaluation: the matches of each frame, and average precision over any weighting."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * n, 2) for n in range(10))
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class FrameMatches:
    """The predictions of one frame, matched with the labels.

    objects: (C,) labelled objects per class. class_ids, scores: (N,) of the predictions. matched,
    ignored: (N, 10) a column for each of IOU_THRESHOLDS; an ignored prediction counts as neither
    right nor wrong.
    """

    file_name: str
    objects: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Average precision in 0..1; None for a class without objects.

    ap, ap50: means over the classes that have objects. class_ap, class_ap50: by class name.
    """

    ap: float | None
    ap50: float | None
    class_ap: Mapping[str, float | None]
    class_ap50: Mapping[str, float | None]


@dataclass(frozen=True)
class Evaluation:
    """One detector on one part of one dataset.

    dataset: fingerprint. split, task: as requested. labels: C class names of the dataset. frames:
    in the order of the split. seconds: wall-clock time of reading and predicting. miou: mean IoU of
    pixels over the classes (see mean_iou), for a semantic segmentation model.
    """

    dataset: str
    split: str
    task: str
    labels: tuple[str, ...]
    frames: tuple[FrameMatches, ...]
    seconds: float = 0.0
    miou: float | None = None

    @property
    def ap(self) -> float | None:
        """Return the mean AP over IoU 0.50:0.95 and classes, or None when there are no objects."""
        return self.overall.ap

    @property
    def ap50(self) -> float | None:
        """Return the mean AP at IoU 0.50 over classes, or None when there are no objects."""
        return self.overall.ap50

    @property
    def objects(self) -> dict[str, int]:
        """Return the number of labelled objects per class in the split."""
        total = sum((f.objects for f in self.frames), np.zeros(len(self.labels), np.int64))
        return {name: int(n) for name, n in zip(self.labels, total, strict=True)}

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each class that the split cannot measure."""
        return tuple(
            f"class {name} has no object in {self.split}, so its quality is unknown"
            for name, count in self.objects.items()
            if not count
        )

    @functools.cached_property
    def overall(self) -> Scores:
        """Return the scores over all frames, each counted once."""
        return self.scores(np.ones(len(self.frames)))

    def scores(self, counts: NDArray[np.floating] | NDArray[np.integer]) -> Scores:
        """Return the scores when frame n counts counts[n] times: a resample of the frames.

        counts: (frames,) not negative. Equivalent to evaluating the repeated frames, but fast.
        """
        weights = np.asarray(counts, np.float64)
        if weights.shape != (len(self.frames),):
            raise ValueError(f"counts must be ({len(self.frames)},), found {weights.shape}")
        table = np.stack([column.ap(weights) for column in self._columns])  # (C, 10)
        ap = [_known(row.mean()) for row in table]
        ap50 = [_known(row[0]) for row in table]
        return Scores(
            _mean(ap),
            _mean(ap50),
            dict(zip(self.labels, ap, strict=True)),
            dict(zip(self.labels, ap50, strict=True)),
        )

    @functools.cached_property
    def _columns(self) -> tuple[_ClassColumn, ...]:
        return tuple(_class_column(self.frames, n) for n in range(len(self.labels)))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values that from_json reads back into an equal evaluation."""
        overall = self.overall
        return {
            "dataset": self.dataset,
            "split": self.split,
            "task": self.task,
            "labels": list(self.labels),
            "seconds": self.seconds,
            "ap": overall.ap,
            "ap50": overall.ap50,
            **({} if self.miou is None else {"miou": self.miou}),
            "class_ap": dict(overall.class_ap),
            "class_ap50": dict(overall.class_ap50),
            "objects": self.objects,
            "notes": list(self.notes),
            "frames": [
                {
                    "file_name": f.file_name,
                    "objects": f.objects.tolist(),
                    "class_ids": f.class_ids.tolist(),
                    "scores": f.scores.tolist(),
                    "matched": _to_bits(f.matched),
                    "ignored": _to_bits(f.ignored),
                }
                for f in self.frames
            ],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Evaluation:
        """Read what to_json wrote; the scores are recomputed from the matches."""
        return cls(
            dataset=values["dataset"],
            split=values["split"],
            task=values["task"],
            labels=tuple(values["labels"]),
            seconds=values["seconds"],
            miou=values.get("miou"),
            frames=tuple(
                FrameMatches(
                    file_name=f["file_name"],
                    objects=np.array(f["objects"], np.int64),
                    class_ids=np.array(f["class_ids"], np.int64),
                    scores=np.array(f["scores"], np.float64),
                    matched=_from_bits(f["matched"]),
                    ignored=_from_bits(f["ignored"]),
                )
                for f in values["frames"]
            ),
        )


@dataclass(frozen=True)
class _ClassColumn:
    """All predictions of a class over all frames, best score first, ready to be weighted."""

    objects: NDArray[np.int64]  # (frames,)
    frame: NDArray[np.int64]  # (N,) index of each prediction's frame
    right: NDArray[np.float64]  # (N, 10)
    wrong: NDArray[np.float64]  # (N, 10)

    def ap(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return AP at each threshold, (10,), NaN without objects."""
        objects = float(self.objects @ weights)
        if objects <= 0:
            return np.full(len(IOU_THRESHOLDS), np.nan)
        if not len(self.frame):
            return np.zeros(len(IOU_THRESHOLDS))
        weight = weights[self.frame][:, None]
        right = np.cumsum(self.right * weight, axis=0)
        wrong = np.cumsum(self.wrong * weight, axis=0)
        recall = right / objects
        precision = right / np.maximum(right + wrong, np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        result = np.zeros(len(IOU_THRESHOLDS))
        for level in range(len(IOU_THRESHOLDS)):
            places = np.searchsorted(recall[:, level], _RECALLS, side="left")
            inside = places < len(recall)
            result[level] = precision[places[inside], level].sum() / len(_RECALLS)
        return result


def _class_column(frames: Sequence[FrameMatches], class_id: int) -> _ClassColumn:
    chosen = [np.flatnonzero(f.class_ids == class_id) for f in frames]
    pairs = list(zip(frames, chosen, strict=True))
    scores = np.concatenate([np.zeros(0), *(f.scores[n] for f, n in pairs)])
    empty = np.zeros((0, len(IOU_THRESHOLDS)), np.bool_)
    matched = np.concatenate([empty, *(f.matched[n] for f, n in pairs)])
    ignored = np.concatenate([empty, *(f.ignored[n] for f, n in pairs)])
    place = np.repeat(np.arange(len(frames)), [len(n) for n in chosen])
    order = np.argsort(-scores, kind="stable")
    matched, ignored = matched[order], ignored[order]
    return _ClassColumn(
        objects=np.array([f.objects[class_id] for f in frames], np.int64),
        frame=place[order],
        right=(matched & ~ignored).astype(np.float64),
        wrong=(~matched & ~ignored).astype(np.float64),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _to_bits(flags: NDArray[np.bool_]) -> list[int]:
    return [int(v) for v in flags.astype(np.int64) @ (1 << np.arange(len(IOU_THRESHOLDS)))]


def _from_bits(values: Sequence[int]) -> NDArray[np.bool_]:
    bits = np.array(values, np.int64)[:, None] >> np.arange(len(IOU_THRESHOLDS))
    return (bits & 1).astype(np.bool_)
