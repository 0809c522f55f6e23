"""The learner of the replays: every fit kept on disk by what it saw and how it was made."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from active_learning.pool import Objects, Pool, ProjectState
from tests.bench.selecting.ways import Way
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.images import RGBImage
from trainer.evaluation.evaluate import evaluate

CANDIDATE_SCORE = 0.05


class ReadOnce(Dataset):
    """A dataset whose pixels are kept once read: hundreds of fits read the same frames."""

    def read(self, image: AnnotatedImage) -> RGBImage:
        """Return what Dataset.read returns; nobody may write into it."""
        return _pixels(str(self.path), image.file_name)


@functools.cache
def _by_name(path: str) -> tuple[Dataset, dict[str, AnnotatedImage]]:
    dataset = load_dataset(Path(path))
    return dataset, {image.file_name: image for image in dataset.images}


@functools.cache
def _pixels(path: str, file_name: str) -> RGBImage:
    dataset, images = _by_name(path)
    pixels = dataset.read(images[file_name])
    pixels.setflags(write=False)
    return pixels


def read_once(path: Path) -> ReadOnce:
    """Load a dataset whose pixels are kept once read."""
    dataset, _ = _by_name(str(path))
    return ReadOnce(dataset.path, dataset.labels, dataset.images, dataset.warnings)


@dataclass(frozen=True)
class Learner:
    """Fits on some frames, evaluates on the test part, and reads the frames not yet labelled.

    A fit's folder is named by the labelled frames, the seed and the way it is made, so that arms
    which begin with the same frames share it and a killed replay goes on where it was. blind: the
    arm chooses without looking, so the frames are not predicted.
    """

    dataset: Dataset
    way: Way
    seed: int
    cache: Path
    test: str = "test"
    blind: bool = False

    def run(self, labelled: tuple[str, ...]) -> tuple[Path, ProjectState, dict[str, float]]:
        """Return the fit's folder, what the project then knows, and figures on the test part."""
        frames = self._frames(labelled)
        folder = self.cache / self._key(labelled)
        done = folder / "figures.json"
        if not done.exists():
            self._fit(frames, folder)
        figures: dict[str, float] = json.loads(done.read_text())
        counts = np.zeros(len(self.dataset.labels))
        for frame in frames:
            for item in frame.objects:
                counts[item.class_id] += not item.crowd
        state = ProjectState(
            labelled=len(labelled),
            trusted=True,
            class_names=tuple(self.dataset.labels),
            class_counts=counts,
            labelled_embeddings=None if self.blind else self.observe(folder, labelled).embeddings,
        )
        return folder, state, {**figures, "objects": float(counts.sum())}

    def observe(self, folder: Path, remaining: tuple[str, ...]) -> Pool:
        """Return frames outside the test part as a pool, as the fit's model sees them."""
        if self.blind:
            return Pool(ids=np.array(remaining))
        stored = folder / "seen.npz"
        if not stored.exists():
            self._predict(folder, stored)
        with np.load(stored) as seen:
            ids, offsets = seen["ids"], seen["offsets"]
            probabilities, embeddings = seen["probabilities"], seen["embeddings"]
        place = {str(name): row for row, name in enumerate(ids)}
        rows = np.array([place[name] for name in remaining])
        counts = np.diff(offsets)[rows]
        objects = np.concatenate(
            [np.arange(offsets[r], offsets[r + 1]) for r in rows] or [np.zeros(0)]
        ).astype(np.int64)
        return Pool(
            ids=np.array(remaining),
            embeddings=embeddings[rows],
            objects=Objects(
                offsets=np.concatenate([[0], np.cumsum(counts)]),
                probabilities=probabilities[objects],
            ),
        )

    def _fit(self, frames: tuple[AnnotatedImage, ...], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        subset = replace(self.dataset, images=tuple(replace(f, split="train") for f in frames))
        self.way.fit(subset, folder, seed=self.seed)
        detector = self.way.open(folder, self.dataset)
        result = evaluate(detector, self.dataset, split=self.test).to_json()
        figures = {"ap": result["ap"], "ap50": result["ap50"]}
        figures |= {f"ap/{name}": value or 0.0 for name, value in result["class_ap"].items()}
        (folder / "figures.json").write_text(json.dumps(figures))

    def _predict(self, folder: Path, stored: Path) -> None:
        detector = self.way.open(folder, self.dataset)
        frames = [f for f in self.dataset.images if f.split != self.test]
        counts, rows, embeddings = [], [], []
        for frame in frames:
            answer = detector.detect([self.dataset.read(frame)], min_score=CANDIDATE_SCORE)[0]
            if answer.probabilities is None or answer.embedding is None:
                raise RuntimeError("the replay needs class probabilities and an embedding")
            counts.append(len(answer))
            rows.append(answer.probabilities)
            embeddings.append(answer.embedding)
        part = stored.with_suffix(".part.npz")
        np.savez(
            part,
            ids=np.array([f.file_name for f in frames]),
            offsets=np.concatenate([[0], np.cumsum(counts)]),
            probabilities=np.concatenate(rows),
            embeddings=np.stack(embeddings),
        )
        part.replace(stored)

    def _frames(self, names: Sequence[str]) -> tuple[AnnotatedImage, ...]:
        by_name = {frame.file_name: frame for frame in self.dataset.images}
        return tuple(by_name[name] for name in names)

    def _key(self, labelled: Sequence[str]) -> str:
        told: list[Any] = [self.dataset.path.name, self.seed, *self.way.key, sorted(labelled)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]
