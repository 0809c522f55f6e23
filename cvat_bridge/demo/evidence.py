"""What the report shows besides figures: the champion at work, and the frames that were chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cvat_bridge.demo.champion import Champion
from cvat_bridge.demo.ground_truth import GroundTruth
from cvat_bridge.demo.pictures import Example, colours_of, pane
from cvat_bridge.demo.project import Prepared
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import SelectedFrame

EXAMPLES = 6
MOST_CHOSEN = 12


def frames_to_show(
    prepared: Prepared, truth: GroundTruth, *, most: int = EXAMPLES
) -> tuple[int, ...]:
    """Return numbers of frames of the holdout that hold something, spread evenly over it."""
    judging = set(truth.holdout)
    numbers = [n for n, path in enumerate(prepared.frames) if path in judging]
    holding = [n for n in numbers if truth.objects[_key(prepared.frames[n])]] or numbers
    rows = np.linspace(0, len(holding) - 1, min(most, len(holding))).round().astype(int)
    return tuple(holding[row] for row in rows)


def examples(
    champion: Champion, prepared: Prepared, truth: GroundTruth, frames: Sequence[int]
) -> tuple[Example, ...]:
    """Draw frames of the holdout twice: as people drew them, and as the champion answered."""
    colours = colours_of(truth.labels)
    shown = []
    for number in frames:
        path = prepared.frames[number]
        real, found = truth.objects[_key(path)], champion.found.get(number)
        panes = [pane("drawn by people", path.read_bytes(), real, colours)]
        if found is not None:
            panes.append(pane("found by the model", path.read_bytes(), found, colours))
        told = "the model was not asked" if found is None else f"{len(found)} found"
        there = f"{len(real)} object{'' if len(real) == 1 else 's'}"
        shown.append(Example(tuple(panes), f"{path.name}: {there}, {told}"))
    return tuple(shown)


def chosen_frames(ledger_file: Path, number: int) -> tuple[SelectedFrame, ...]:
    """Read from a bridge's records what a round chose, best first."""
    with Ledger(ledger_file) as ledger:
        return ledger.selection(number)


def chosen_examples(
    chosen: Sequence[SelectedFrame],
    prepared: Prepared,
    labels: Sequence[str],
    *,
    most: int = MOST_CHOSEN,
) -> tuple[Example, ...]:
    """Draw the first frames of a choice, each with its rank and the reason it was chosen for."""
    colours: Mapping[str, str] = colours_of(labels)
    return tuple(
        Example(
            (pane("", prepared.frames[row.frame].read_bytes(), (), colours),),
            f"{row.rank}. {row.reason}",
        )
        for row in chosen[:most]
    )


def _key(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
