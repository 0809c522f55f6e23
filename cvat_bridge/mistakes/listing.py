"""The list of likely mistakes, as the serving model saw them last: made by a look, kept in home."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cvat_bridge.errors import LedgerError, NothingToDoError
from cvat_bridge.frames.originals import write_atomically
from cvat_bridge.home import Home
from cvat_bridge.loop.parts import Parts
from cvat_bridge.mistakes.disputes import Disputes, dispute
from cvat_bridge.mistakes.ranking import Suspect
from cvat_bridge.progress import Report, quiet
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset
from trainer.engines import load
from trainer.errors import TrainerError

_FILE = "mistakes.json"
MOST = 2000  # suspects that are kept


@dataclass(frozen=True)
class MistakeList:
    """What the look found. model: that looked; made: ISO 8601, "" before the first look.

    suspects: likeliest first. found: how many there were. judged, learnt, unknown, unread,
    cautions: see Disputes.
    """

    model: str = ""
    made: str = ""
    suspects: tuple[Suspect, ...] = ()
    found: int = 0
    judged: int = 0
    learnt: int = 0
    unknown: int = 0
    unread: int = 0
    cautions: tuple[str, ...] = field(default=())


def suspect_key(one: Suspect) -> str:
    """Name a suspect by its place and kind, 16 hex digits."""
    box = [round(value) for value in one.box]
    told = json.dumps([one.job_id, one.frame, one.kind, one.label, box])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def suspect_of(values: Mapping[str, Any]) -> Suspect:
    """Read what asdict(suspect) wrote, also after a turn through JSON."""
    x1, y1, x2, y2 = values["box"]
    return Suspect(**{**values, "box": (x1, y1, x2, y2)})


def look_for_mistakes(
    parts: Parts, *, task: int | None = None, report: Report = quiet
) -> tuple[str, Disputes]:
    """Let the serving model judge the finished frames that it has not learnt from.

    task: only the jobs of this one. Returns the model's version and what it disputes. Raises
    NothingToDoError where nothing can be judged, LedgerError where it is not known what the model
    learnt from, GatewayError.
    """
    champion = parts.registry.champion(parts.key)
    if champion is None:
        raise NothingToDoError("no model serves yet that could dispute a label")
    facts = parts.gather()
    jobs = tuple(job for job in facts.jobs if task in (None, job.task_id))
    if not jobs:
        where = "project" if task is None else f"task {task}"
        raise NothingToDoError(f"the {where} has no finished job")
    snapshot = champion.tags.get("dataset", "")
    if not snapshot or not (parts.home.snapshots / snapshot).is_dir():
        raise LedgerError(
            f"what the serving model {champion.bundle[:12]} learnt from is not known here "
            f"(snapshot {snapshot or 'not recorded'}): no frame is surely new to it. Models "
            "of the loop's own rounds are"
        )
    found = dispute(
        parts.gateway,
        parts.ledger,
        replace(facts, jobs=jobs),
        home=parts.home,
        settings=parts.settings,
        detector=load(read_bundle(champion.path)),
        model=champion.bundle,
        learnt_from=load_dataset(parts.home.snapshots / snapshot),
        report=report,
    )
    return champion.bundle, found


def keep_list(home: Home, model: str, found: Disputes, *, now: str) -> MistakeList:
    """Keep what a look found in the place of an earlier list."""
    made = MistakeList(
        model,
        now,
        found.suspects[:MOST],
        len(found.suspects),
        *(found.judged, found.learnt, found.unknown, found.unread, found.cautions),
    )
    write_atomically(home.root / _FILE, json.dumps(asdict(made)).encode())
    return made


def kept_list(home: Home) -> MistakeList:
    """Return the list as it was kept; an empty one before the first look."""
    try:
        values = json.loads((home.root / _FILE).read_bytes())
    except FileNotFoundError:
        return MistakeList()
    except ValueError as error:
        raise TrainerError(f"{home.root / _FILE} is damaged: {error}. Delete it") from error
    return MistakeList(
        **{
            **values,
            "suspects": _suspects(values["suspects"]),
            "cautions": tuple(values["cautions"]),
        }
    )


def _suspects(rows: Iterable[Mapping[str, Any]]) -> tuple[Suspect, ...]:
    return tuple(suspect_of(row) for row in rows)
