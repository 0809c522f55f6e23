"""The screen *Likely mistakes*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvat_bridge.blindspots.bounds import bounds, count_share
from cvat_bridge.blindspots.types import Share
from cvat_bridge.ledger.page_records import Review
from cvat_bridge.mistakes.feedback import ranked
from cvat_bridge.mistakes.listing import MistakeList, kept_list, suspect_key
from cvat_bridge.mistakes.ranking import Suspect
from cvat_bridge.mistakes.review import still_to_review, verdicts
from cvat_bridge.web.background.work_queue import WorkItem
from cvat_bridge.web.sites import Site

COUNT = 20  # suspects on a screen
KINDS = {
    "overlooked": "probably missing",
    "swapped": "probably another class",
    "badly placed": "probably misplaced",
}


@dataclass(frozen=True)
class SuspectRow:
    """A suspect on the screen. chance: of being a mistake, None before any verdict."""

    key: str
    suspect: Suspect
    chance: float | None


@dataclass(frozen=True)
class MistakesScreen:
    """The list and what became of it.

    rows: of this screen, likeliest first; total: that nobody has sent to review; start: the first
    one's place. kinds: how many of each. sent, open: issues. precision: of the list, by the
    resolved ones, and of each kind. going: a item under way.
    """

    made: str
    model: str
    judged: int
    learnt: int
    unread: int
    cautions: tuple[str, ...]
    rows: tuple[SuspectRow, ...]
    total: int
    start: int
    kind: str
    kinds: dict[str, int]
    sent: int
    open: int
    precision: Share | None
    by_kind: dict[str, Share]
    reviews: tuple[Review, ...]
    going: WorkItem | None
    last: WorkItem | None


def mistakes_screen(
    site: Site, *, start: int, kind: str, going: WorkItem | None, last: WorkItem | None
) -> MistakesScreen:
    """Return a screen of the list. Raises LedgerError."""
    parts = site.parts
    held, reviews = kept_list(parts.home), parts.ledger.people.reviews()
    told = verdicts(reviews)
    left = still_to_review(held.suspects, reviews)
    order, chances = ranked(left, told)
    rows = [
        SuspectRow(suspect_key(one), one, chances[place] if chances else None)
        for place, one in enumerate(order)
        if not kind or one.kind == kind
    ]
    start = max(0, min(start, len(rows) - 1))
    return MistakesScreen(
        *(held.made, held.model, held.judged, held.learnt, held.unread, held.cautions),
        tuple(rows[start : start + COUNT]),
        len(rows),
        start,
        kind,
        dict(Counter(one.kind for one in left)),
        len(reviews),
        sum(not row.verdict for row in reviews),
        precision_of(told),
        {
            name: share
            for name in KINDS
            if (share := precision_of([row for row in told if row[0].kind == name]))
        },
        reviews[-8:][::-1],
        going,
        last,
    )


def precision_of(told: Sequence[tuple[Suspect, bool]]) -> Share | None:
    """Return which share of the decided ones were mistakes; None where none is decided."""
    if not told:
        return None
    frames: dict[tuple[int, int], list[bool]] = {}
    for one, right in told:
        frames.setdefault((one.job_id, one.frame), []).append(right)
    each = [(len(rows), sum(rows)) for rows in frames.values()]
    found = count_share(*np.array(each, float).T)
    low, high = bounds(found, 0.025)
    return Share(found.right, found.of, found.value, low, high)


def chosen_suspects(held: MistakeList, keys: Sequence[str]) -> tuple[Suspect, ...]:
    """Return the suspects of these keys, in their order; those that are gone are left out."""
    known = {suspect_key(one): one for one in held.suspects}
    return tuple(known[key] for key in dict.fromkeys(keys) if key in known)
