"""`cvat-bridge restore`: a lost or old ledger learns again what CVAT and the home know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cvat_bridge.cvat.gateway import Gateway, Media, Task
from cvat_bridge.errors import NotFoundError
from cvat_bridge.frames.originals import read_originals
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Provenance
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.copies import copies_in
from cvat_bridge.project.markers import RoundMark, mark_of
from cvat_bridge.recovery.comparing import RESTORED, behind
from cvat_bridge.recovery.durable import DurableRound
from cvat_bridge.recovery.from_snapshots import restore_sides, restore_used
from cvat_bridge.recovery.leftovers import pulled_snapshots, run_rounds
from cvat_bridge.recovery.likely_sources import told_apart
from cvat_bridge.recovery.past_rounds import (
    restored_decisions,
    restored_jobs,
    restored_provenance,
    restored_round,
)


@dataclass(frozen=True)
class Restored:
    """What the ledger knows now that it did not.

    rounds: their numbers. tasks: of rounds, by id. frames: copies tied to their sources again.
    unread: of those, whose image CVAT did not give, so that equal images are not known. sides:
    images whose side of the holdout is known again. jobs: finished jobs known as learnt from.
    decisions: of rounds, on what serves. ended: rounds that were under way and do not go on.
    """

    identity: str
    rounds: tuple[int, ...] = ()
    tasks: tuple[int, ...] = ()
    frames: int = 0
    unread: int = 0
    sides: int = 0
    jobs: int = 0
    decisions: int = 0
    ended: tuple[int, ...] = ()
    lost: tuple[str, ...] = field(default=())


def restore(
    gateway: Gateway,
    ledger: Ledger,
    durable: Sequence[DurableRound],
    *,
    project_id: int,
    home: Home,
    now: Callable[[], str],
    report: Report = quiet,
) -> Restored:
    """Add to the ledger what CVAT, DBOS's records and the home know; nothing it has is changed.

    Rounds under way whose choice the ledger does not hold are ended: their tasks in CVAT stay.
    The caller forgets them in DBOS's records (`Restored.ended`). Calling it again adds nothing.
    Raises GatewayError, LedgerError.
    """
    tasks = [task for task in gateway.tasks(project_id) if task.size and task.dimension == "2d"]
    marks = {task.id: mark for task in tasks if (mark := mark_of(task.name)) is not None}
    _take_over_identity(ledger, marks)
    media = _media(gateway, tasks)
    added, tied = _rounds(gateway, ledger, durable, tasks, marks, media, project_id, home, now())
    unread = _read_images(gateway, ledger, media, tied, report)
    decided = {row.round for row in ledger.decisions()}
    decisions = [row for row in restored_decisions(durable) if row.round not in decided]
    for decision in decisions:
        ledger.save_decision(decision)
    snapshots = pulled_snapshots(home, project_id)
    sides = restore_sides(ledger, snapshots)
    jobs = restore_used(gateway, ledger, snapshots, durable, project_id)
    ended = _ended(ledger, durable, added)
    return Restored(
        ledger.identity,
        rounds=tuple(added),
        tasks=tuple(sorted({row.task_id for row in tied})),
        frames=len(tied),
        unread=unread,
        sides=sides,
        jobs=jobs,
        decisions=len(decisions),
        ended=ended,
        lost=_lost(ledger, added, tied),
    )


def _take_over_identity(ledger: Ledger, marks: Mapping[int, RoundMark]) -> None:
    """Let an empty ledger go on as the loop of the newest task, so that it finds it again."""
    if not ledger.rounds() and marks:
        ledger.take_identity(marks[max(marks)].loop)


def _media(gateway: Gateway, tasks: Sequence[Task]) -> dict[int, Media]:
    media = {}
    for task in tasks:
        try:
            media[task.id] = gateway.media(task.id)
        except NotFoundError:  # deleted meanwhile
            continue
    return media


def _rounds(
    gateway: Gateway,
    ledger: Ledger,
    durable: Sequence[DurableRound],
    tasks: Sequence[Task],
    marks: Mapping[int, RoundMark],
    media: Mapping[int, Media],
    project_id: int,
    home: Home,
    now: str,
) -> tuple[list[int], list[Provenance]]:
    """Add rounds, their jobs and copies; return the numbers and copies that are new."""
    recorded = {row.number: row for row in durable}
    own = {
        marks[task.id].number: task
        for task in reversed(tasks)
        if task.id in marks and marks[task.id].loop == ledger.identity
    }
    pulled = {row.round for row in pulled_snapshots(home, project_id) if row.round is not None}
    held = {row.number for row in ledger.rounds()}
    added = []
    # A task that a person asked for has a negative number and is no round.
    for number in sorted(n for n in {*recorded, *own, *run_rounds(home), *pulled} if n > 0):
        row = recorded.get(number)
        if number not in held or (row is not None and behind(ledger, row)):
            ledger.save_round(restored_round(number, project_id, row, own.get(number), now=now))
            added.append(number)
            if number not in own and row is not None and not ledger.ranked_jobs(number):
                ledger.set_ranked_jobs(
                    number, restored_jobs((), (), row)
                )  # of a mode without tasks
    wanted = set(marks) - {row.task_id for row in ledger.provenance()}
    tied: list[Provenance] = []
    copies = told_apart(gateway, ledger, media, copies_in(tasks, media, task_numbers=wanted))
    for task_id, mark in marks.items():
        of_task = [copy for copy in copies if copy.task_id == task_id]
        mine = mark.loop == ledger.identity
        if not of_task:
            if mine and task_id in wanted:
                _note_restored(ledger, mark.number)
            continue
        chosen = ledger.selection(mark.number) if mine else ()
        rows = restored_provenance(
            of_task, mark.number, {(row.task_id, row.frame): row for row in chosen}
        )
        ledger.add_provenance(rows)
        tied += rows
        if mine and own[mark.number].id == task_id and not ledger.ranked_jobs(mark.number):
            jobs = gateway.jobs(task_id=task_id)
            ledger.set_ranked_jobs(
                mark.number, restored_jobs(rows, jobs, recorded.get(mark.number))
            )
    return added, tied


def _note_restored(ledger: Ledger, number: int) -> None:
    """Note of a round that no more can be known: the frames of its task have no source here."""
    for row in ledger.rounds():
        if row.number == number and RESTORED not in row.figures:
            ledger.save_round(replace(row, figures={**row.figures, RESTORED: "CVAT"}))


def _read_images(
    gateway: Gateway,
    ledger: Ledger,
    media: Mapping[int, Media],
    tied: Sequence[Provenance],
    report: Report,
) -> int:
    """Learn what the images are that are out, so that no equal one is handed out as another frame.

    Returns how many CVAT did not give.
    """
    wanted: dict[int, set[int]] = {}
    for row in tied:
        if row.source_task in media:
            wanted.setdefault(row.source_task, set()).add(row.source_frame)
    known, done, unread = ledger.frames(), 0, 0
    for task_id, numbers in sorted(wanted.items()):
        there = [n for n in sorted(numbers) if n < len(media[task_id].frames)]
        new = [n for n in there if f"{task_id}/{n}" not in known]
        unread += len(numbers) - len(there)
        for _, original in read_originals(gateway, media[task_id], new):
            ledger.add_frames([original.facts])
            unread += not original.content
            done += 1
            report("read what is out", done, len(tied))
    return unread


def _ended(
    ledger: Ledger, durable: Sequence[DurableRound], added: Sequence[int]
) -> tuple[int, ...]:
    """Return the rounds that DBOS would go on with, and that the ledger has ended or passed."""
    last = max((row.number for row in ledger.rounds()), default=0)
    return tuple(
        row.number for row in durable if not row.done and (row.number in added or row.number < last)
    )


def _lost(ledger: Ledger, added: Sequence[int], tied: Sequence[Provenance]) -> tuple[str, ...]:
    """Return what cannot be known again."""
    lost = []
    if added:
        rounds = ", ".join(map(str, added))
        lost.append(
            f"what people did to the pre-annotations of round {rounds} (kept, moved, deleted): "
            "CVAT does not keep it, so those jobs correct no threshold"
        )
        lost.append(
            f"which objects were proposed in round {rounds}: objects of source auto in their jobs "
            "are left as they are"
        )
    if any(row.score is None for row in tied):
        lost.append(
            "the worth of the frames that are out, and which of them were drawn at random: all "
            "count as chosen by the strategy"
        )
    if added and not ledger.used_jobs():
        lost.append("which finished jobs were learnt from: the next round reads all of them")
    if added and not ledger.decisions():
        lost.append("the figures of past decisions; the registry still says what serves")
    return tuple(lost)
