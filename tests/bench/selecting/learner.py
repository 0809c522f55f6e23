"""The learner of the replays: the real centernet backend, every fit kept on disk by what it saw."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from active_learning.pool import Objects, Pool, ProjectState
from trainer.annotations import AnnotatedImage
from trainer.backends import backend
from trainer.dataset import Dataset
from trainer.detector import FitConfig
from trainer.engines import load
from trainer.evaluate import evaluate

CANDIDATE_SCORE = 0.05


@dataclass(frozen=True)
class Learner:
    """Fits on some frames, evaluates on the test part, and reads the frames not yet labelled.

    A fit's folder is named by the labelled frames, the seed and the settings, so that arms which
    begin with the same frames share it and a killed replay goes on where it was. blind: the arm
    chooses without looking, so the frames are not predicted.
    """

    dataset: Dataset
    config: FitConfig
    cache: Path
    test: str = "test"
    blind: bool = False

    def learn(self, labelled: tuple[str, ...]) -> tuple[Path, ProjectState, dict[str, float]]:
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
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        learner = backend(self.config.backend)
        subset = replace(self.dataset, images=tuple(replace(f, split="train") for f in frames))
        checkpoint = learner.fit(subset, self.config, run_dir=folder / "fit", report=lambda _: None)
        bundle = learner.export(checkpoint, folder / "bundle", card={"name": "replay"})
        result = evaluate(load(bundle, threads=1), self.dataset, split=self.test).to_json()
        figures = {"ap": result["ap"], "ap50": result["ap50"]}
        figures |= {f"ap/{name}": value or 0.0 for name, value in result["class_ap"].items()}
        (folder / "figures.json").write_text(json.dumps(figures))
        shutil.rmtree(folder / "fit", ignore_errors=True)

    def _predict(self, folder: Path, stored: Path) -> None:
        from trainer.bundle import read_bundle

        detector = load(read_bundle(folder / "bundle"), threads=1)
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
        config = self.config
        told = [
            *(self.dataset.path.name, config.seed, config.image_size, config.batch_size),
            *(config.learning_rate, sorted(config.extra.items()), sorted(labelled)),
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]
