"""Of which frame a copy was made, where several frames have its name: told by the image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cvat_bridge.cvat.gateway import Gateway, Media
from cvat_bridge.frames.originals import read_originals
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts
from cvat_bridge.project.copies import Copy

_UNLIKE = 1 << 10  # more bits than a difference hash has


def told_apart(
    gateway: Gateway, ledger: Ledger, media: Mapping[int, Media], copies: Sequence[Copy]
) -> tuple[Copy, ...]:
    """Keep one source of each copy: the one whose image is the copy's, or is most like it.

    Only copies of several possible sources are looked at; what is read is recorded in the ledger.
    Raises GatewayError, LedgerError.
    """
    groups: dict[tuple[int, int], list[Copy]] = defaultdict(list)
    for copy in copies:
        if copy.source_task in media and copy.source_frame < len(media[copy.source_task].frames):
            groups[copy.task_id, copy.frame].append(copy)
    wanted: dict[int, set[int]] = defaultdict(set)
    for (task_id, frame), found in groups.items():
        if len(found) > 1:
            wanted[task_id].add(frame)
            for copy in found:
                wanted[copy.source_task].add(copy.source_frame)
    read: dict[tuple[int, int], FrameFacts] = {}
    for task_id, numbers in sorted(wanted.items()):
        for number, original in read_originals(gateway, media[task_id], sorted(numbers)):
            read[task_id, number] = original.facts
    ledger.add_frames(read.values())
    return tuple(min(found, key=lambda copy: _unlikeness(copy, read)) for found in groups.values())


def _unlikeness(copy: Copy, read: Mapping[tuple[int, int], FrameFacts]) -> int:
    """Count the bits in which the images' difference hashes differ; -1 for the same file."""
    ours = read.get((copy.task_id, copy.frame))
    theirs = read.get((copy.source_task, copy.source_frame))
    if ours is None or theirs is None or not ours.perceptual or not theirs.perceptual:
        return _UNLIKE
    if ours.sha256 == theirs.sha256:
        return -1
    return (int(ours.perceptual, 16) ^ int(theirs.perceptual, 16)).bit_count()
