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


def figures(curves: Curves, *, rare: str) -> list[Figure]:
    """Return labels to 90 and 95 % of the AP with all labels, and what rare classes gained."""
    found = []
    for strategy in curves.arms:
        found.append(_reached(curves, strategy))
        for share in (0.90, 0.95):
            found += _savings(curves, strategy, share)
        if strategy != "random":
            found += [_against_random(curves, strategy), _rare(curves, strategy, rare)]
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


def picture(curves: Curves, path: Path, *, rare: str) -> None:
    """Draw AP and the rarest class's AP against labelled frames, with the band over seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    panels = (("ap", "AP"), (f"ap/{rare}", f"AP of the rarest class, {rare}"))
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
    seeds = len(next(iter(curves.arms.values())))
    figure.suptitle(f"{curves.name}: mean of {seeds} seeds, 95 % bootstrap band")
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
                note=f"mean of {len(curves.arms[strategy])} seeds, target AP {target:.3f}",
            )
        )
    return found


def _needed(curves: Curves, strategy: str, unit: str, target: float) -> float | None:
    precision = curves.values(strategy, "ap").mean(axis=0)
    bought = (
        curves.frames(strategy)
        if unit == "frames"
        else curves.values(strategy, "objects").mean(axis=0)
    )
    return labels_to_reach(list(zip(bought.tolist(), precision.tolist(), strict=True)), target)


def _against_random(curves: Curves, strategy: str) -> Figure:
    """The worst round against random, with the noise that the same seeds give."""
    own, plain = curves.values(strategy, "ap"), curves.values("random", "ap")
    apart = own - plain  # the same seed began with the same frames
    error = apart.std(axis=0, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else apart[0] * np.nan
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


def _rare(curves: Curves, strategy: str, rare: str) -> Figure:
    own = curves.values(strategy, f"ap/{rare}").mean(axis=0)[1:]
    plain = curves.values("random", f"ap/{rare}").mean(axis=0)[1:]
    ahead = int((own > plain).sum())
    return Figure(
        f"rare_class_ap_gain/{curves.name}/{strategy}",
        float((own - plain).mean()),
        "AP",
        peer="random",
        peer_value=float(plain.mean()),
        note=f"{rare}, mean over rounds after the common first; ahead in {ahead} of {len(own)}",
    )
