"""What the first frames hold that are chosen before a model is trusted, against random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from active_learning.choose import SelectionSettings, choose
from active_learning.pool import Pool, ProjectState
from tests.bench.figures import Figure
from trainer.data.dataset import Dataset
from trainer.embedding import Descriptor, Embedder, embedder

KINDS = ("cold_start_rarest_objects", "class_presence_auc")  # the first part of a figure's name
FRAMES = 20
_DRAWS = 1000  # of random frames: the mean they are held against is then exact enough
_NEIGHBOURS = 10
_LEAST = 5  # frames that show, and that lack, a class whose presence is guessed


def cold_start(dataset: Dataset, *, seeds: int, features: Path) -> list[Figure]:
    """Return the objects of the rarest class among the first frames, and what neighbours know.

    The choice is the default's part of a cold start, without its control frames. Both embeddings
    are told: the ImageNet features, and the description that stands in for them. features: the
    folder that keeps the exported encoder. Raises RuntimeError where the features are missing.
    """
    learnt = embedder(features, threads=1)
    if learnt.why:
        raise RuntimeError(learnt.why)
    frames = [frame for frame in dataset.images if frame.split != "test"]
    counts = np.zeros((len(frames), len(dataset.labels)))
    for row, frame in enumerate(frames):
        for item in frame.objects:
            counts[row, item.class_id] += not item.crowd
    totals = counts.sum(axis=0)
    rarest = int(np.argmin(np.where(totals > 0, totals, np.inf)))
    rare = dataset.labels.name_of(rarest)
    rng = np.random.default_rng(0)
    drawn = np.array([rng.permutation(len(frames))[:FRAMES] for _ in range(_DRAWS)])
    plain = counts[drawn, rarest].sum(axis=1)
    found = []
    name = dataset.path.name
    for one, suffix in ((learnt, ""), (Descriptor(), "/descriptor")):
        rows = _embedded(dataset, one)
        chosen = [_chosen(rows, seed) for seed in range(seeds)]
        own = np.array([counts[each, rarest].sum() for each in chosen])
        objects = np.array([counts[each].sum() for each in chosen])
        found.append(
            Figure(
                f"{KINDS[0]}/{name}{suffix}",
                float(own.mean()),
                "objects",
                peer="random",
                peer_value=float(plain.mean()),
                ratio=float(own.mean() / plain.mean()) if plain.mean() else None,
                note=f"{rare}, {int(totals[rarest])} in {len(frames)} frames; among the first "
                f"{FRAMES}, mean of {seeds} seeds ± {own.std():.1f} of a seed (random "
                f"± {plain.std():.1f}); {objects.mean():.0f} objects in all (random "
                f"{counts[drawn].sum(axis=(1, 2)).mean():.0f}); AP of a fit not measured here",
            )
        )
        known = _presence(rows, counts)
        if known is not None:
            found.append(
                Figure(
                    f"{KINDS[1]}/{name}{suffix}",
                    known,
                    "AUC",
                    note=f"how well the {_NEIGHBOURS} nearest frames tell which classes a frame "
                    "shows, mean over classes; 0.5 is a guess",
                )
            )
    return found


def _embedded(dataset: Dataset, by: Embedder) -> np.ndarray:
    frames = [frame for frame in dataset.images if frame.split != "test"]
    return np.concatenate([by.embed([dataset.read(frame)]) for frame in frames])


def _chosen(rows: np.ndarray, seed: int) -> Sequence[int]:
    pool = Pool(ids=np.array([f"{row:06d}" for row in range(len(rows))]), embeddings=rows)
    settings = replace(SelectionSettings(), control_share=0.0)
    batch = choose(pool, budget=FRAMES, seed=seed, state=ProjectState(), settings=settings)
    return [int(name) for name in batch.ids]


def _presence(rows: np.ndarray, counts: np.ndarray) -> float | None:
    """Return the mean AUC over the classes that enough frames show and lack, or None."""
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1).fit(rows).kneighbors(rows)[1]
    shown = counts > 0
    scores = []
    for column in range(counts.shape[1]):
        shows = shown[:, column]
        if _LEAST <= shows.sum() <= len(shows) - _LEAST:
            guess = [shows[[n for n in own if n != row]].mean() for row, own in enumerate(near)]
            scores.append(roc_auc_score(shows, guess))
    return float(np.mean(scores)) if scores else None
