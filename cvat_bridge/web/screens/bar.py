"""The project bar, which stands on every screen: what serves, which round it is, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cvat_bridge.ledger.records import Decision, Round
from cvat_bridge.models.serving import Serving
from cvat_bridge.web.screens.figures import ModelFigures, figures_of
from cvat_bridge.web.sites import CurrentActivity

STEPS = {
    "started": "has begun",
    "facts": "reads the project in CVAT",
    "pull": "fetches the finished jobs",
    "fit": "learns from the finished jobs",
    "decide": "compares the new model with the one that serves",
    "predict": "lets the model read the unlabelled frames",
    "select": "chooses the frames worth labelling",
    "prioritise": "makes the ranked jobs in CVAT",
    "preannotate": "writes the pre-annotations",
    "done": "is done",
}


@dataclass(frozen=True)
class Alarm:
    """Something that a person should see to. text: what is wrong; mend: what to do."""

    text: str
    mend: str


@dataclass(frozen=True)
class Bar:
    """version: of the bundle that serves, None for none. learnt_in: its round, 0 if by none.

    state: what the round does, in words. waits_for: what the next step of the loop waits for.
    """

    project: int
    name: str
    version: str | None
    learnt_in: int
    figures: ModelFigures | None
    why: tuple[str, ...]
    round: int
    state: str
    waits_for: str
    alarms: tuple[Alarm, ...]


def bar_of(
    project: int,
    name: str,
    serving: Serving,
    rounds: Sequence[Round],
    decisions: Sequence[Decision],
    doing: CurrentActivity | None,
) -> Bar:
    """Put the bar together. rounds, decisions: oldest first."""
    last = rounds[-1] if rounds else None
    learnt_in = next((d.round for d in decisions if d.challenger == serving.version), 0)
    return Bar(
        project=project,
        name=name,
        version=serving.version,
        learnt_in=learnt_in if serving.version else 0,
        figures=figures_of(decisions, serving.version),
        why=serving.why,
        round=last.number if last else 0,
        state=_state(last),
        waits_for=_waits_for(last, doing),
        alarms=tuple(_alarms(last, serving, decisions, doing)),
    )


def _state(last: Round | None) -> str:
    if last is None:
        return "no round yet"
    if last.waits_for:
        return f"round {last.number} stopped"
    return f"round {last.number} {STEPS.get(last.state, last.state)}"


def _waits_for(last: Round | None, doing: CurrentActivity | None) -> str:
    if last is not None and last.state != "done" and not last.waits_for:
        return "the step under way"
    if doing is None:
        return "nothing: the service does not work on this project now"
    if doing.failures:
        return "the next try"
    return doing.reason or "the first look at CVAT"


def _alarms(
    last: Round | None,
    serving: Serving,
    decisions: Sequence[Decision],
    doing: CurrentActivity | None,
) -> list[Alarm]:
    found = []
    if last is not None and last.waits_for:
        step, _, problem = last.waits_for.partition(": ")
        found.append(
            Alarm(
                f"Round {last.number} failed while it {STEPS.get(step, step)}: {problem}",
                "It is tried again by itself after a pause, from that step on. `cvat-bridge "
                "doctor` looks at everything it stands on.",
            )
        )
    elif doing is not None and doing.failures:
        found.append(
            Alarm(
                f"The last look at CVAT failed ({doing.failures} in a row): {doing.reason}",
                "It is tried again by itself. `cvat-bridge doctor` says what is not good.",
            )
        )
    promoted = [row for row in decisions if row.promoted]
    if serving.version is None and promoted:
        found.append(Alarm(serving.why[0], "Until then CVAT's list of models offers nothing."))
    if last is not None:
        broken = len(last.figures.get("broken") or {})
        if broken:
            found.append(
                Alarm(
                    f"{broken} frames of the pool cannot be read, so they are never chosen.",
                    "Open them in CVAT, and upload them again where they are damaged.",
                )
            )
        left = last.figures.get("left_alone") or {}
        if left:
            found.append(
                Alarm(
                    f"{len(left)} jobs of round {last.number} were not pre-annotated: "
                    f"{next(iter(left.values()))}.",
                    "Nothing is lost: people draw in them from nothing.",
                )
            )
    if decisions:
        found += [
            Alarm(text, "Label more frames: the scores are learnt anew in each round.")
            for text in decisions[-1].reasons
            if "scores mislead" in text
        ]
    return found
