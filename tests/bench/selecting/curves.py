"""Learning curves of the replays: their figures, and the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from active_learning.simulate import ReplayedRound, band, labels_to_reach
from tests.bench.figures import Figure

Arms = Mapping[str, Mapping[int, Sequence[ReplayedRound]]]  # strategy → seed → rounds


@dataclass(frozen=True)
class Curves:
    """All replays of one set that have played as many rounds, and the AP with all labels.

    arms: strategy → seed → rounds. whole: AP of the fits on every label, one a seed. learner: how
    the fits were made, in words.
    """

    name: str
    arms: Arms
    whole: Sequence[float]
    learner: str = ""

    def values(self, strategy: str, figure: str) -> np.ndarray:
        """Return (seeds, rounds) of a figure."""
        runs = self.arms[strategy]
        return np.array([[r.figures[figure] for r in runs[seed]] for seed in sorted(runs)])

    def frames(self, strategy: str) -> np.ndarray:
        """Return (rounds,) labelled frames, the same for every seed."""
        runs = self.arms[strategy]
        return np.array([len(r.labelled) for r in runs[min(runs)]], float)


def figures(curves: Curves, *, rare: str | None) -> list[Figure]:
    """Return labels to 90 and 95 % of the AP with all labels, and what the rarest class gained.

    rare: the rarest class, or None where there is one class only.
    """
    found = []
    for strategy in curves.arms:
        found.append(_reached(curves, strategy))
        for share in (0.90, 0.95):
            found += _savings(curves, strategy, share)
        if strategy != "random":
            found.append(_against_random(curves, strategy))
            if rare is not None:
                found.append(_rare(curves, strategy, rare))
    whole = float(np.mean(curves.whole))
    found.append(
        Figure(
            f"ap_with_all_labels/{curves.name}",
            whole,
            "AP",
            note=f"{len(curves.whole)} fits, {min(curves.whole):.3f} to {max(curves.whole):.3f}; "
            + curves.learner,
        )
    )
    return found


def picture(curves: Curves, path: Path, *, rare: str | None) -> None:
    """Draw AP, and the rarest class's where there is one, by labelled frames, with the band."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = [("ap", "AP")]
    if rare is not None:
        panels.append((f"ap/{rare}", f"AP of the rarest class, {rare}"))
    size = (6.0 * len(panels), 4.5)
    figure, (axes,) = plt.subplots(
        1, len(panels), figsize=size, layout="constrained", squeeze=False
    )
    for panel, (key, title) in zip(axes, panels, strict=True):
        for strategy in curves.arms:
            frames = curves.frames(strategy)
            mean, low, high = band(curves.values(strategy, key).tolist())
            (line,) = panel.plot(frames, mean, marker="o", markersize=3, label=strategy)
            panel.fill_between(frames, low, high, alpha=0.15, color=line.get_color())
        panel.set_xlabel("labelled frames")
        panel.set_title(title)
        panel.grid(alpha=0.3)
    whole = float(np.mean(curves.whole))
    axes[0].axhline(whole, color="black", linewidth=1, label="all labels")
    axes[0].axhline(0.95 * whole, color="black", linewidth=1, linestyle=":", label="95 % of it")
    axes[0].legend()
    seeds = _seeds(curves, next(iter(curves.arms)))
    figure.suptitle(f"{curves.name}: mean of {seeds}, 95 % bootstrap band")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _reached(curves: Curves, strategy: str) -> Figure:
    last = float(curves.values(strategy, "ap").mean(axis=0)[-1])
    frames = int(curves.frames(strategy)[-1])
    return Figure(
        f"share_of_all_labels/{curves.name}/{strategy}",
        last / float(np.mean(curves.whole)),
        "",
        note=f"AP {last:.3f} after the last round, from {frames} frames",
    )


def _savings(curves: Curves, strategy: str, share: float) -> list[Figure]:
    """Frames and objects that the mean curve needs, against the same of random."""
    target = share * float(np.mean(curves.whole))
    found = []
    for unit in ("frames", "objects"):
        needed = _needed(curves, strategy, unit, target)
        plain = _needed(curves, "random", unit, target)
        if needed is None:  # not within the rounds played; share_of_all_labels tells how far
            continue
        against = strategy != "random" and plain is not None
        name = f"{unit}_to_{share * 100:.0f}" + ("_vs_random" if against else "")
        found.append(
            Figure(
                f"{name}/{curves.name}/{strategy}",
                needed,
                unit,
                peer="random" if against else None,
                peer_value=plain if against else None,
                ratio=needed / plain if against and plain else None,
                note=f"of the mean curve of {_seeds(curves, strategy)}, target AP "
                f"{target:.3f}; seed by seed: {_singly(curves, strategy, unit, target)}",
            )
        )
    return found


def _needed(
    curves: Curves, strategy: str, unit: str, target: float, seed: int | None = None
) -> float | None:
    """Frames or objects to the target: of the mean curve, or of one seed by its place."""
    precision = curves.values(strategy, "ap")
    bought = curves.values(strategy, "objects")
    if unit == "frames":
        bought = np.broadcast_to(curves.frames(strategy), precision.shape)
    rows = slice(None) if seed is None else slice(seed, seed + 1)
    means = (bought[rows].mean(axis=0).tolist(), precision[rows].mean(axis=0).tolist())
    return labels_to_reach(list(zip(*means, strict=True)), target)


def _seeds(curves: Curves, strategy: str) -> str:
    count = len(curves.arms[strategy])
    return "1 seed" if count == 1 else f"{count} seeds"


def _singly(curves: Curves, strategy: str, unit: str, target: float) -> str:
    each = [
        _needed(curves, strategy, unit, target, seed)
        for seed in range(len(curves.values(strategy, "ap")))
    ]
    return ", ".join("not reached" if one is None else f"{one:.0f}" for one in each)


def _against_random(curves: Curves, strategy: str) -> Figure:
    """The worst round against random, with the noise that the same seeds give."""
    own, plain = curves.values(strategy, "ap"), curves.values("random", "ap")
    apart = own - plain  # the same seed began with the same frames
    error = _error(apart)
    worst = int(np.argmin(apart.mean(axis=0)))
    gaps = "; ".join(
        f"{n:.0f}: {100 * m:+.1f} ± {100 * e:.1f}"
        for n, m, e in zip(curves.frames(strategy), apart.mean(axis=0), error, strict=True)
    )
    return Figure(
        f"worst_ap_gain_vs_random/{curves.name}/{strategy}",
        float(apart.mean(axis=0)[worst]),
        "AP",
        note=f"by labelled frames, AP points ± standard error: {gaps}",
    )


def _error(apart: np.ndarray) -> np.ndarray:
    """Standard error of the mean over seeds, round by round; NaN with one seed."""
    if len(apart) < 2:
        return np.full(apart.shape[1], np.nan)
    return np.asarray(apart.std(axis=0, ddof=1) / np.sqrt(len(apart)))


def _rare(curves: Curves, strategy: str, rare: str) -> Figure:
    apart = (curves.values(strategy, f"ap/{rare}") - curves.values("random", f"ap/{rare}"))[:, 1:]
    plain = curves.values("random", f"ap/{rare}").mean(axis=0)[1:]
    gaps = apart.mean(axis=0)
    error = _error(apart)
    told = "; ".join(
        f"{n:.0f}: {100 * m:+.1f} ± {100 * e:.1f}"
        for n, m, e in zip(curves.frames(strategy)[1:], gaps, error, strict=True)
    )
    return Figure(
        f"rare_class_ap_gain/{curves.name}/{strategy}",
        float(gaps.mean()),
        "AP",
        peer="random",
        peer_value=float(plain.mean()),
        note=f"{rare}, mean over rounds after the common first; ahead in {int((gaps > 0).sum())} "
        f"of {len(gaps)}; by labelled frames, AP points ± standard error: {told}",
    )
