"""One short sentence per frame: why it was selected for labelling."""

from __future__ import annotations

import numpy as np

from active_learning.measures.class_need import presence
from active_learning.measures.uncertainty import entropy
from active_learning.picks import Picks, SelectionContext
from active_learning.pool import FloatArray, IntArray, Objects, Pool

CONTROL = "drawn at random for the control arm"
_NEEDED = 1.25  # a class needed this much more than average is named
_SEEN = 0.3  # a class is named when its best object reaches this probability
_FAR = 0.5  # frames closer than this share of the typical distance are not called different


def reasons(
    pool: Pool, picks: Picks, *, context: SelectionContext, informed: bool
) -> tuple[str, ...]:
    """Return one reason for each selected row, in order.

    informed: whether the values come from a measure, so that comparisons are meaningful.
    """
    rows = picks.rows
    parts: list[list[str]] = [[] for _ in rows]
    if informed:
        shares = _shares_below(picks.values, rows)
        for place, row in enumerate(rows):
            if shares[place] >= 0.5:
                percent = min(99, int(100 * shares[place]))
                parts[place].append(f"more informative than {percent} % of the pool")
            if pool.objects is not None:
                parts[place].append(_doubt(pool.objects, int(row), context.class_names))
    if pool.objects is not None and context.class_need is not None:
        _name_needed(parts, pool.objects, rows, context)
    for place, row in enumerate(rows):
        if int(row) in picks.whys:
            parts[place].append(picks.whys[int(row)])
        if picks.gaps is not None and np.isfinite(picks.gaps[place]) and picks.gaps[place] >= _FAR:
            parts[place].append(
                f"unlike what is labelled or chosen before it ({picks.gaps[place]:.2f} of the "
                "typical distance)"
            )
        if place >= len(rows) - picks.duplicates:
            parts[place].append("a near-duplicate, taken because nothing else is left")
        if not any(parts[place]):
            parts[place] = [_fallback(picks, place, informed=informed)]
    return tuple("; ".join(text for text in part if text) for part in parts)


def _shares_below(values: FloatArray, rows: IntArray) -> FloatArray:
    """Return (K,) share of the pool with a strictly lower value than each row."""
    ordered = np.sort(values)
    below: FloatArray = np.searchsorted(ordered, values[rows], side="left") / max(1, len(values))
    return below


def _doubt(objects: Objects, row: int, names: tuple[str, ...]) -> str:
    """Describe the object that the model is least certain of."""
    start, stop = int(objects.offsets[row]), int(objects.offsets[row + 1])
    if start == stop:
        return "the model finds no object"
    own = Objects(np.array([0, stop - start]), objects.probabilities[start:stop], head=objects.head)
    worst = int(np.argmax(entropy(own)))
    column = int(np.argmax(own.probabilities[worst]))
    name = names[column] if column < len(names) else f"class {column}"
    score = float(own.probabilities[worst, column])
    count = stop - start
    return f"least sure of {name} at {score:.2f} among {count} candidate{'s' * (count > 1)}"


def _name_needed(
    parts: list[list[str]], objects: Objects, rows: IntArray, context: SelectionContext
) -> None:
    need = context.class_need
    if need is None or not need.size:
        return
    column = int(np.argmax(need))
    if need[column] < _NEEDED:
        return
    name = context.class_names[column] if column < len(context.class_names) else f"class {column}"
    seen = presence(objects, column)[rows]
    for part, score in zip(parts, seen, strict=True):
        if score >= _SEEN:
            part.append(f"may show {name} ({score:.2f}), which the project needs most")


def _fallback(picks: Picks, place: int, *, informed: bool) -> str:
    if informed:
        return f"value {picks.values[picks.rows[place]]:.3g}, next in the ranking"
    if picks.gaps is not None and np.isfinite(picks.gaps[place]):
        return f"{picks.gaps[place]:.2f} of the typical distance from what is labelled or chosen"
    return "first of a diverse batch" if picks.gaps is not None else "drawn at random"
