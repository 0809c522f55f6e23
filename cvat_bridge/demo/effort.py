"""What pre-annotation spares a person, in seconds of the cost model: an estimate, not a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.measures.cost import CostModel


@dataclass(frozen=True)
class Effort:
    """Seconds of a person for the same frames. drawing: from nothing. correcting: as it was."""

    drawing: float
    correcting: float

    @property
    def saved(self) -> float:
        """Seconds that the proposals spared; less than none where they cost more than they gave."""
        return self.drawing - self.correcting

    def to_json(self) -> dict[str, float]:
        """Return the seconds, rounded."""
        return {
            "drawing_seconds": round(self.drawing, 1),
            "correcting_seconds": round(self.correcting, 1),
            "saved_seconds": round(self.saved, 1),
        }


def effort(rows: Sequence[Mapping[str, Any]], cost: CostModel | None = None) -> Effort:
    """Estimate the work in some rounds of report.json.

    Each frame is opened once either way. From nothing, every object that is there is drawn; with
    proposals a kept one is verified, a nudged or relabelled one fixed, a redrawn one deleted and
    drawn, a deleted one deleted, an added one drawn.
    """
    cost = cost or CostModel()
    drawing = correcting = 0.0
    for row in rows:
        opened = cost.frame * sum(len(job["frames"]) for job in row["jobs"])
        did = row["pre_annotations"]
        kept, redrawn = did.get("kept", 0), did.get("redrawn", 0)
        fixed = did.get("nudged", 0) + did.get("relabelled", 0)
        deleted, added = did.get("deleted", 0), did.get("added", 0)
        drawing += opened + cost.add * (kept + fixed + redrawn + added)
        correcting += (
            opened
            + cost.verify * kept
            + cost.fix * fixed
            + cost.delete * (deleted + redrawn)
            + cost.add * (redrawn + added)
        )
    return Effort(drawing, correcting)
