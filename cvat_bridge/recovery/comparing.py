"""Does the ledger know of everything that other places know of? Compared at every start."""

from __future__ import annotations

from collections.abc import Sequence

from cvat_bridge.cvat.gateway import Task
from cvat_bridge.errors import RecordsError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.project.markers import mark_of
from cvat_bridge.recovery.durable import DurableRound
from cvat_bridge.recovery.leftovers import pulled_snapshots, run_rounds

RESTORED = "restored"  # the figure of a round that was restored: from where
ADVICE = (
    "The ledger was lost, or is an old copy. Put the newest copy of ledger.db back, or stop the "
    "bridge and run `cvat-bridge restore`: it finds the rounds again in CVAT and in the home, and "
    "hands nothing out twice"
)


def compare_home(
    ledger: Ledger, rounds: Sequence[DurableRound], home: Home, *, project_id: int
) -> None:
    """Hold the ledger against what lies beside it in the home. Raises RecordsError."""
    found = (*_rounds_unknown(ledger, rounds), *_leftovers(ledger, home, project_id))
    if found:
        raise RecordsError(found, ADVICE)


def compare_cvat(ledger: Ledger, tasks: Sequence[Task]) -> None:
    """Hold the ledger against the tasks of the project in CVAT. Raises RecordsError."""
    rounds = {row.number: row for row in ledger.rounds()}
    known = {n: row.state for n, row in rounds.items() if RESTORED not in row.figures}
    last = max(rounds, default=0) or "none"
    restored = set(rounds).difference(known)
    tied = {row.task_id for row in ledger.provenance()}
    own: list[str] = []
    foreign: list[Task] = []
    for task in tasks:
        mark = mark_of(task.name)
        if mark is None or task.id in tied or not task.size:
            continue
        if mark.loop != ledger.identity:
            foreign.append(task)
        elif mark.number not in restored and known.get(mark.number) in (None, "done"):
            own.append(
                f"CVAT has task {task.id} of round {mark.number}, of which {ledger.place} "
                f"knows nothing (its last round is {last})"
            )
    if foreign and not rounds:
        numbers = ", ".join(str(task.id) for task in foreign[:5])
        own.append(
            f"the project has tasks of rounds ({len(foreign)}: task {numbers}) of another ledger, "
            f"of a home that was lost or of another bridge, and {ledger.place} knows of no round"
        )
    if own:
        raise RecordsError(own, ADVICE)


def behind(ledger: Ledger, row: DurableRound) -> str:
    """Return what the ledger does not know of a recorded round; "" where it knows all."""
    held = {one.number: one for one in ledger.rounds()}
    mine, last = held.get(row.number), max(held, default=0)
    if mine is None:
        ends = f"ends with round {last}" if last else "knows of no round"
        return f"the records of rounds know round {row.number}, and {ledger.place} {ends}"
    if RESTORED in mine.figures:
        return ""
    if row.done and mine.state != "done":
        return (
            f"the records of rounds say that round {row.number} is done, and {ledger.place} has it "
            f"at {mine.state!r}"
        )
    if row.answers.get("select", {}).get("selected") and not ledger.selection(row.number):
        return f"round {row.number} chose frames, and {ledger.place} does not know which"
    if row.answers.get("prioritise", {}).get("task_id") and not ledger.provenance(row.number):
        return f"round {row.number} made a task, and {ledger.place} does not know of which frames"
    return ""


def _rounds_unknown(ledger: Ledger, rounds: Sequence[DurableRound]) -> list[str]:
    found = [told for row in rounds if (told := behind(ledger, row))]
    last = max((row.number for row in ledger.rounds()), default=0)
    if rounds and not rounds[-1].done and rounds[-1].number < last:
        found.append(
            f"the records of rounds stand at round {rounds[-1].number}, not ended, and "
            f"{ledger.place} is at round {last}: they are older than the ledger"
        )
    return found


def _leftovers(ledger: Ledger, home: Home, project_id: int) -> list[str]:
    """Return what the home holds of rounds that the ledger has no row of."""
    known = {row.number for row in ledger.rounds()}
    runs = {n: folder for n, folder in run_rounds(home).items() if n not in known}
    found = [
        f"{folder} was learnt in round {number}, of which {ledger.place} knows nothing"
        for number, folder in sorted(runs.items())
    ]
    found += [
        f"{row.folder} was pulled by round {row.round}, of which {ledger.place} knows nothing"
        for row in pulled_snapshots(home, project_id)
        if row.round is not None and row.round not in known.union(runs)
    ]
    return found
