"""What is known of how good a version is: the figures of its last judgement, and whose are better.

A round judges its challenger and the champion on the same holdout frames; a training by hand judges
what it learnt on its own test part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cvat_bridge.ledger import Ledger
from trainer.bundles.bundle import read_bundle
from trainer.errors import BundleError
from trainer.registry.versions import Version


@dataclass(frozen=True)
class VersionScores:
    """Figures of a version. where: on what it was judged, in words; equal words, equal frames."""

    number: int
    ap: float | None
    ap50: float | None
    where: str

    def __str__(self) -> str:
        figures = f"AP {_figure(self.ap)}, AP50 {_figure(self.ap50)}"
        return f"version {self.number}: {figures} {self.where}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """What a promotion by hand puts in the place of what, each None where it was never judged."""

    now: VersionScores | None
    before: VersionScores | None
    warnings: tuple[str, ...]


def compared(ledger: Ledger, now: Version, before: Version | None, *, metric: str) -> Comparison:
    """Hold the figures of a version against those of the one that served before it.

    metric: by which the gate decides. Figures of the same holdout go first; where there are none,
    each version's own are told, and that they come from different frames.
    """
    if before is not None and before.bundle == now.bundle:
        before = None
    pair = None if before is None else _same_round(ledger, now, before)
    ours = pair[0] if pair else _own(ledger, now)
    theirs = pair[1] if pair else None if before is None else _own(ledger, before)
    warnings = []
    if ours is None:
        warnings.append(
            f"version {now.number} was never judged here, so nothing is known of how good it is; "
            "the next round judges it"
        )
    if ours is not None and theirs is not None:
        one, other = getattr(ours, metric), getattr(theirs, metric)
        if one is not None and other is not None and one < other:
            same = "" if ours.where == theirs.where else ", on other frames"
            warnings.append(
                f"version {now.number} is worse than version {theirs.number}, which served before: "
                f"{metric.upper()} {one:.3f} against {other:.3f}{same}. `rollback` undoes it"
            )
    return Comparison(ours, theirs, tuple(warnings))


def _same_round(
    ledger: Ledger, now: Version, before: Version
) -> tuple[VersionScores, VersionScores] | None:
    """Find the newest round that judged both on the same frames."""
    for row in reversed(ledger.decisions()):
        sides = {row.challenger: "challenger", row.champion: "champion"}
        if {now.bundle, before.bundle} <= sides.keys():
            found = [_of(row.figures.get(sides[v.bundle]), v, row.round) for v in (now, before)]
            if found[0] is not None and found[1] is not None:
                return found[0], found[1]
    return None


def _own(ledger: Ledger, version: Version) -> VersionScores | None:
    for row in reversed(ledger.decisions()):
        for name, side in ((row.challenger, "challenger"), (row.champion, "champion")):
            found = _of(row.figures.get(side), version, row.round)
            if name == version.bundle and found is not None:
                return found
    try:
        figures = read_bundle(version.path, verify=False).card.metrics
    except BundleError:
        return None
    ap, ap50 = (_number(figures.get(key)) for key in ("ap", "ap50"))
    if ap is None and ap50 is None:
        return None
    frames, split = figures.get("frames"), figures.get("split") or "test"
    where = f"on the {frames} frames of" if isinstance(frames, int) else "on"
    return VersionScores(version.number, ap, ap50, f"{where} its own {split} part")


def _of(figures: Mapping[str, Any] | None, version: Version, number: int) -> VersionScores | None:
    if not figures:
        return None
    return VersionScores(
        version.number, figures.get("ap"), figures.get("ap50"), f"on the holdout of round {number}"
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
