"""Which frames the tasks of rounds hold copies of, read from CVAT alone. Pure.

The ledger knows this for its own rounds. CVAT is asked for the others, so that a bridge whose
ledger was lost, or another bridge, hands no frame out twice.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cvat_bridge.cvat.gateway import Media, Task
from cvat_bridge.frames.originals import SUFFIXES
from cvat_bridge.project.markers import is_round_task

_LONGEST_FILE = 250  # bytes; file systems take 255
_RANKED = re.compile(r"(\d{4,})_(.+)", re.DOTALL)
_EARLIER = re.compile(r"task(\d+)_frame(\d{6,})\.\w+")  # of earlier versions


@dataclass(frozen=True)
class Copy:
    """A frame of a round's task, and one that it may be a copy of.

    rank: as the name tells it; where the file was used where it lies, its place in the task.
    """

    task_id: int
    frame: int
    source_task: int
    source_frame: int
    rank: int


def copy_name(rank: int, own: str, *, is_video: bool) -> str:
    """Name the copy of a frame by rank and its own name: "0001_dive3__frame_07.JPG".

    Folders become "__", since CVAT takes uploaded files without folders. The rank keeps two frames
    of one name apart. A suffix that CVAT does not read as an image is followed by ".png", and
    characters that do not survive an upload become "_". A name that is too long loses its front.
    """
    path = PurePosixPath(own)
    if is_video or path.suffix.lower() not in SUFFIXES:
        own += "" if path.suffix == ".png" else ".png"
    prefix = f"{rank:04d}_"
    kept = _survives(own.strip("/").replace("/", "__")).encode()[len(prefix) - _LONGEST_FILE :]
    return prefix + kept.decode(errors="ignore")


def copies_in(
    tasks: Sequence[Task], media: Mapping[int, Media], *, task_numbers: Collection[int]
) -> tuple[Copy, ...]:
    """Return what the wanted tasks of rounds, of this ledger or another, may hold copies of.

    A copy is known by its name, or, where the round used the files where they lie, by being the
    same file of the same storage. Several frames of one name give several copies; a frame of which
    neither is known gives none. By task and frame.
    """
    rounds = [task.id for task in tasks if is_round_task(task.name) and task.id in media]
    task_numbers = sorted(set(rounds).intersection(task_numbers))
    if not task_numbers:
        return ()
    shared, named = _sources(media, {task.id for task in tasks}.difference(rounds))
    copies = []
    for task_id in task_numbers:
        held = media[task_id]
        for frame in held.frames:
            ranked = _RANKED.fullmatch(frame.name)
            sources = shared.get((held.storage, held.cloud_storage_id, frame.name), [])
            if ranked and not sources:
                sources = list(named.get(ranked[2], ()))
                if earlier := _EARLIER.fullmatch(ranked[2]):
                    sources.append((int(earlier[1]), int(earlier[2])))
            rank = int(ranked[1]) if ranked else frame.number + 1
            copies += [Copy(task_id, frame.number, *source, rank) for source in sources]
    return tuple(copies)


_Places = Mapping[tuple[str, int | None, str], list[tuple[int, int]]]
_Names = Mapping[str, list[tuple[int, int]]]


def _sources(media: Mapping[int, Media], task_ids: Collection[int]) -> tuple[_Places, _Names]:
    """Return the frames of these tasks by file of a storage, and by the name of a copy of each."""
    shared: dict[tuple[str, int | None, str], list[tuple[int, int]]] = defaultdict(list)
    named: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for task_id in sorted(set(task_ids).intersection(media)):
        held = media[task_id]
        for frame in held.frames:
            if held.storage != "local" and not held.is_video:
                place = (held.storage, held.cloud_storage_id, frame.name)
                shared[place].append((task_id, frame.number))
            copied = copy_name(1, frame.name, is_video=held.is_video)
            named[copied.partition("_")[2]].append((task_id, frame.number))
    return shared, named


def _survives(name: str) -> str:
    """Replace what CVAT changes in the name of an uploaded file."""
    plain = "".join(one if one.isprintable() and one not in '"\\' else "_" for one in name)
    return plain if html.unescape(plain) == plain else plain.replace("&", "_")
