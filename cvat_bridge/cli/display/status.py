"""`cvat-bridge status`, gathered from the records and from CVAT, and laid out for 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cvat_bridge.config import Config, load_secrets
from cvat_bridge.errors import BridgeError
from cvat_bridge.loop.people.summaries import job_lines
from trainer.terminal import PlainConsole, visible, without_credentials

JsonObject = dict[str, Any]


def found_now(config: Config) -> JsonObject:
    """Return what the records say, a fit that is at work, and what CVAT shows at this moment.

    "now" is what `BridgeView.live_status` gives, or {"unknown": why} where CVAT could not be
    asked: the rest of the status stands all the same. "learning" is {"run", "figures"} or None.
    """
    from cvat_bridge.assembly import open_view
    from cvat_bridge.home import Home
    from cvat_bridge.loop.live_status.fit_progress import current_fit
    from cvat_bridge.running import status_of

    found = status_of(config)
    learning = current_fit(Home.of(config).runs)
    found["learning"] = learning and {"run": learning[0], "figures": str(learning[1])}
    try:
        with open_view(config, load_secrets()) as view:
            found["now"] = view.live_status()
    except BridgeError as error:
        found["now"] = {"unknown": str(error)}
    return found


def print_status(found: Mapping[str, Any]) -> None:
    """Print it on standard output: a name and its sentences a row, then a row a round."""
    console = PlainConsole(highlight=False)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, sentence in _rows(found):
        grid.add_row(name, Text(visible(without_credentials(sentence))))
    console.print(grid)
    if found["rounds"]:
        console.print()
        console.print(_rounds(found["rounds"]))


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield f"project {found['project']}", f"round {found['round']}: {found['state']}"
    if found["learning"]:
        yield "learning", f"{found['learning']['figures']} ({found['learning']['run']})"
    if found["waits_for"]:
        yield "stopped at", found["waits_for"]
    yield from _now(found["now"])
    yield "serves", _serves(found)
    for reason in found["why"]:
        yield "", reason
    for line in found["pre_annotates"]:
        yield "pre-annotates", line
    for name, reason in found["withheld"].items():
        yield "not shown", f"{name!r}: {reason}"
    if found["interactor"]:
        yield "interactor", found["interactor"]
    for place, line in enumerate(job_lines(found["jobs"])):
        yield ("jobs, best first" if not place else ""), line
    if found["of_pool"]:
        yield "whole pool", found["of_pool"]


def _now(now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "unknown" in now:
        yield "CVAT", f"could not be asked: {now['unknown']}"
        return
    new = f", {now['new']} of them new since the last round" if now["new"] else ""
    yield "labelled", f"{now['labelled']} frames{new}; {now['held_out']} of them judge models"
    yield "pool", f"{now['pool']} frames that nobody has yet"
    for name, what in (("waiting", "ranked frames"), ("open", "other frames")):
        for row in now[name]:
            who = row["who"] or "nobody yet"
            yield "waits for", f"{who}: {row['frames']} {what} in {_jobs(row['jobs'])}"
    step = now["next"]
    what = f"round {step['number']}" if step["kind"] == "round" else "wait"
    yield "next", f"{what}: {step['reason']}"
    for note in now["notes"]:
        yield "note", note


def _jobs(ids: Sequence[int]) -> str:
    most = 6
    named = ", ".join(map(str, ids[:most]))
    word = "job" if len(ids) == 1 else "jobs"
    return f"{word} {named}" + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _serves(found: Mapping[str, Any]) -> str:
    if found["serves"] is None:
        return "no model yet"
    judged = found["figures"]
    version = found["serves"][:12]
    if judged is None:
        return f"{version}, which no round has judged"
    return (
        f"{version}: AP {_figure(judged['ap'])}, AP50 {_figure(judged['ap50'])} on the holdout of "
        f"round {judged['round']}"
    )


def _rounds(rounds: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for name in ("round", "state", "labelled", "champion\nAP", "challenger\nAP", "", "chosen"):
        table.add_column(name, no_wrap=True)
    table.add_column("task", no_wrap=True)
    for row in rounds:
        figures = row["figures"]
        champion, challenger = figures.get("champion") or {}, figures.get("challenger") or {}
        table.add_row(
            str(row["round"]),
            row["state"],
            str(figures.get("labelled_frames", "")),
            _figure(champion.get("ap")),
            _figure(challenger.get("ap")),
            "promoted" if figures.get("promoted") else "",
            str(figures.get("selected", "")),
            str(figures.get("task_id") or ""),
        )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
