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
    """Return what choosing saved against random, in frames and in objects, and where it lost.

    rare: the rarest class, or None where there is one class only. Where all labels together are no
    better than the first round's, a share of them is nothing to reach: then no ratio is given.
    """
    found = [_gain_of_all(curves)]
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


def refusal(curves: Curves) -> str:
    """Return why these replays cannot tell what choosing saves, or "" where they can.

    Labels must be worth something: all of them have to beat the first round's by more than two
    standard errors of that difference, taken over the seeds.
    """
    gain, error = _gain(curves)
    if not np.isfinite(error):
        return "refused: one seed has no standard error; play more"
    if gain > 2 * error:
        return ""
    return (
        f"refused: with all labels AP is {100 * gain:+.1f} ± {100 * error:.1f} points from the "
        "first round's, so that these fits cannot tell which labels are worth more"
    )


def _gain(curves: Curves) -> tuple[float, float]:
    """AP with all labels less that of the common first round, and its standard error.

    The error is NaN with one seed.
    """
    first, whole = curves.values("random", "ap")[:, 0], np.asarray(curves.whole, float)
    parts = [part.var(ddof=1) / len(part) if len(part) > 1 else np.nan for part in (first, whole)]
    return float(whole.mean() - first.mean()), float(np.sqrt(sum(parts)))


def _gain_of_all(curves: Curves) -> Figure:
    gain, error = _gain(curves)
    said = refusal(curves) or "enough to tell what choosing saves"
    return Figure(
        f"ap_gain_of_all_labels/{curves.name}",
        gain,
        "AP",
        note=f"over the first round's, standard error {error:.3f}; {said}",
    )


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
    refused = refusal(curves)
    if refused:
        against = "" if strategy == "random" else "_vs_random"
        return [
            Figure(
                f"{unit}_to_{share * 100:.0f}{against}/{curves.name}/{strategy}",
                None,
                unit,
                note=refused,
            )
            for unit in ("frames", "objects")
        ]
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
    """The worst round against random, in the standard errors that the same seeds give."""
    own, plain = curves.values(strategy, "ap"), curves.values("random", "ap")
    # The same seed began with the same frames, which say nothing.
    apart, frames = (own - plain)[:, 1:], curves.frames(strategy)[1:]
    gaps, error = apart.mean(axis=0), _error(apart)
    told = "; ".join(
        f"{n:.0f}: {100 * m:+.1f} ± {100 * e:.1f}"
        for n, m, e in zip(frames, gaps, error, strict=True)
    )
    in_errors = gaps / np.where(error > 0, error, np.nan)
    known = np.isfinite(in_errors)
    return Figure(
        f"worst_ap_gain_vs_random/{curves.name}/{strategy}",
        float(in_errors[known].min()) if known.any() else None,
        "standard errors",
        note=f"by labelled frames, AP points ± standard error: {told}"
        + ("" if known.any() else "; one seed has no standard error"),
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
