"""What a model is known to find, and what the gate decided about it: read from the decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cvat_bridge.ledger.records import Decision


@dataclass(frozen=True)
class ModelFigures:
    """AP and AP50 of a model, 0..1, on so many held-out frames with so many objects."""

    ap: float | None
    ap50: float | None
    frames: int
    objects: int


@dataclass(frozen=True)
class GateVerdict:
    """What the gate decided in a round.

    kind: "compare" (gain with its interval low..high, which must lie above zero), "first" (value
    with its lower bound low, which must reach needed and needed_low), or "none" where nothing
    could be compared. metric: "AP" or "AP50". before, after: of the model that served, and of the
    new one. confidence: of low. classes: name → (before, after, objects).
    """

    round: int
    decided: str
    promoted: bool
    kind: Literal["compare", "first", "none"]
    sentence: str
    reasons: tuple[str, ...]
    metric: str = "AP"
    before: float | None = None
    after: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    needed: float | None = None
    needed_low: float | None = None
    confidence: float = 0.95
    frames: int = 0
    objects: int = 0
    classes: tuple[tuple[str, float | None, float | None, int], ...] = ()


def figures_of(decisions: Sequence[Decision], version: str | None) -> ModelFigures | None:
    """Return a version's figures as last measured; None where no round measured it."""
    for row in reversed(decisions):
        for who in ("champion", "challenger"):
            found = row.figures.get(who)
            if found and version and getattr(row, who) == version:
                gate = row.figures.get("gate") or {}
                return ModelFigures(
                    found.get("ap"),
                    found.get("ap50"),
                    int(gate.get("frames") or _frames(row)),
                    sum((gate.get("objects") or {}).values()),
                )
    return None


def verdict_of(row: Decision) -> GateVerdict:
    """Read a decision as people should see it."""
    gate: Mapping[str, Any] = row.figures.get("gate") or {}
    settings: Mapping[str, Any] = gate.get("settings") or {}
    metric = str(gate.get("metric", "ap"))
    after = (row.figures.get("challenger") or {}).get(metric)
    before = (row.figures.get("champion") or {}).get(metric)
    shared: dict[str, Any] = {
        "round": row.round,
        "decided": row.decided,
        "promoted": row.promoted,
        "sentence": row.reasons[0] if row.reasons else "No reason was recorded.",
        "reasons": tuple(row.reasons[1:]),
        "frames": int(gate.get("frames") or 0),
        "objects": sum((gate.get("objects") or {}).values()),
    }
    if gate.get("gain_low") is not None:
        rows = gate.get("classes") or {}
        return GateVerdict(
            kind="compare",
            metric=metric.upper(),
            before=before,
            after=after,
            gain=gate.get("gain"),
            low=gate["gain_low"],
            high=gate["gain_high"],
            needed=float(settings.get("min_gain", 0.0)),
            confidence=float(settings.get("confidence", 0.95)),
            classes=tuple(
                (n, r["champion"], r["challenger"], r["objects"]) for n, r in rows.items()
            ),
            **shared,
        )
    whole = ((row.figures.get("usefulness") or {}).get("whole")) or {}
    if not row.champion and whole.get("ap50") is not None:
        return _first(row, whole, settings, shared)
    return GateVerdict(kind="none", metric=metric.upper(), before=before, after=after, **shared)


def _first(
    row: Decision, whole: Mapping[str, Any], settings: Mapping[str, Any], shared: dict[str, Any]
) -> GateVerdict:
    """Read the decision about a first model, which is judged by itself."""
    floor = settings.get("min_first")
    if floor is not None:
        metric = str(settings.get("metric", "ap"))
        value = (row.figures.get("challenger") or {}).get(metric)
        return GateVerdict(kind="first", metric=metric.upper(), after=value, needed=floor, **shared)
    each = (row.figures.get("usefulness") or {}).get("classes") or {}
    return GateVerdict(
        kind="first",
        metric="AP50",
        after=whole["ap50"],
        low=whole["low"],
        needed=float(settings.get("useful_ap50", 0.0)),
        needed_low=float(settings.get("useful_low", 0.0)),
        confidence=float(settings.get("useful_confidence", 0.9)),
        classes=tuple((n, None, r["ap50"], r["objects"]) for n, r in each.items()),
        **shared,
    )


def _frames(row: Decision) -> int:
    return int((row.figures.get("usefulness") or {}).get("frames") or 0)
