"""What the screen *Savings* and `cvat-bridge savings` show, from the records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cvat_bridge.config import Config
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import JobEffort
from cvat_bridge.savings.clock import Clock, read_clock
from cvat_bridge.savings.comparing import LEAST_JOBS, Compared, Estimate, Rate, compare
from cvat_bridge.savings.modelled import modelled
from cvat_bridge.savings.outcomes import (
    Outcomes,
    by_annotator,
    by_score,
    most_first,
    rows_of,
)
from cvat_bridge.thresholds.round_thresholds import seconds_of

Basis = Literal["analytics", "job times", "cost model", "nothing"]


@dataclass(frozen=True)
class Savings:
    """What pre-annotation saves in this project.

    basis: which clock the seconds come from; "nothing" where nobody corrected anything yet.
    sentences: what was measured and how sure it is, for people. notes: what is missing, and what
    to do. objects, frames: seconds of each with pre-annotation and without, None without a basis.
    hours: saved so far. money: hours times the rate, None where no rate is set. jobs, controls:
    finished ones; timed: those with seconds, of both arms. over_time: by round.
    """

    basis: Basis
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    objects: Compared | None
    frames: Compared | None
    hours: Estimate | None
    money: Estimate | None
    currency: str
    jobs: int
    controls: int
    timed: int
    one_in: int
    outcomes: Outcomes
    over_time: tuple[RoundRate, ...]
    read: str


@dataclass(frozen=True)
class RoundRate:
    """Seconds of an object in the jobs of a round, None where none has a time."""

    round: int
    model: str
    with_it: float | None
    without: float | None
    jobs: int


def savings(config: Config, home: Home, ledger: Ledger) -> Savings:
    """Return what pre-annotation saved, from what was measured last. Raises LedgerError."""
    efforts = ledger.people.efforts()
    clock = read_clock(home)
    counts = ledger.people.outcomes_by("label")
    outcomes = _outcomes(ledger, counts, efforts)
    arms = {arm: [row for row in efforts if row.arm == arm] for arm in ("pre-annotated", "control")}
    basis, objects, frames = _measured(arms)
    if objects is None and counts:
        basis, objects, frames = "cost model", *_by_model(config, ledger, counts, arms)
    hours = _hours(objects)
    rate = config.savings.hourly_rate
    return Savings(
        basis=basis,
        sentences=_sentences(objects, frames, hours),
        notes=_notes(config, clock, basis, arms),
        objects=objects,
        frames=frames,
        hours=hours,
        money=None if rate is None or hours is None else _scaled(hours, rate),
        currency=config.savings.currency,
        jobs=len(arms["pre-annotated"]),
        controls=len(arms["control"]),
        timed=sum(_seconds(row, basis) is not None for row in efforts),
        one_in=config.savings.control_every,
        outcomes=outcomes,
        over_time=_over_time(efforts, basis),
        read=clock.read,
    )


def _measured(
    arms: Mapping[str, Sequence[JobEffort]],
) -> tuple[Basis, Compared | None, Compared | None]:
    """Compare the arms by the better clock of the two that has enough jobs of both."""
    for basis in ("analytics", "job times"):
        timed = {
            arm: [(s, row) for row in rows if (s := _seconds(row, basis)) is not None]
            for arm, rows in arms.items()
        }
        first, second = timed["pre-annotated"], timed["control"]
        objects = compare(
            [(s, row.objects) for s, row in first], [(s, row.objects) for s, row in second]
        )
        if objects is not None:
            frames = compare(
                [(s, row.frames) for s, row in first], [(s, row.frames) for s, row in second]
            )
            return basis, objects, frames
    return "nothing", None, None


def _seconds(row: JobEffort, basis: str) -> float | None:
    return row.worked if basis == "analytics" else row.spell if basis == "job times" else None


def _by_model(
    config: Config,
    ledger: Ledger,
    counts: Sequence[tuple[str, str, int]],
    arms: Mapping[str, Sequence[JobEffort]],
) -> tuple[Compared, Compared]:
    rows = arms["pre-annotated"]
    made = modelled(
        counts,
        {label.name: label.type for label in ledger.labels()},
        seconds_of(config),
        frames=sum(row.frames for row in rows),
        opened=config.active_learning.cost.frame,
    )
    share = Estimate(1 - made.with_it / made.without if made.without else 0.0)

    def each(units: int) -> Compared:
        return Compared(
            Rate(Estimate(made.with_it / max(units, 1)), len(rows), units, made.with_it),
            Rate(Estimate(made.without / max(units, 1)), 0, units, made.without),
            share,
        )

    return each(made.objects), each(made.frames)


def _hours(objects: Compared | None) -> Estimate | None:
    return None if objects is None else _scaled(objects.saved_seconds, 1 / 3600)


def _scaled(one: Estimate, factor: float) -> Estimate:
    low, high = (None if v is None else v * factor for v in (one.low, one.high))
    return Estimate(one.value * factor, low, high)


def _outcomes(
    ledger: Ledger, by_label: Sequence[tuple[str, str, int]], efforts: Sequence[JobEffort]
) -> Outcomes:
    if not by_label:
        return Outcomes()
    annotators = {row.job_id: row.annotator for row in efforts}
    models = rows_of(
        ((number, model), outcome, count)
        for number, model, outcome, count in ledger.people.outcomes_by("round", "model")
    )
    return Outcomes(
        by_class=most_first(rows_of(by_label)),
        by_score=by_score(ledger.people.outcomes_by("band")),
        by_annotator=by_annotator(ledger.people.outcomes_by("job_id"), annotators),
        by_model=tuple(
            replace(models[key], name=f"{key[0]} · {key[1][:8]}") for key in sorted(models)
        ),
    )


def _over_time(efforts: Sequence[JobEffort], basis: str) -> tuple[RoundRate, ...]:
    found = []
    for number in sorted({row.round for row in efforts}):
        rows = [row for row in efforts if row.round == number]
        found.append(
            RoundRate(
                number,
                next((row.model for row in rows if row.model), ""),
                _mean([row for row in rows if row.arm == "pre-annotated"], basis),
                _mean([row for row in rows if row.arm == "control"], basis),
                len(rows),
            )
        )
    return tuple(found)


def _mean(rows: Sequence[JobEffort], basis: str) -> float | None:
    timed = [(s, row.objects) for row in rows if (s := _seconds(row, basis)) is not None]
    objects = sum(count for _, count in timed)
    return sum(s for s, _ in timed) / objects if objects else None


def _sentences(
    objects: Compared | None, frames: Compared | None, hours: Estimate | None
) -> tuple[str, ...]:
    if objects is None or frames is None or hours is None:
        return ("Nobody has corrected a pre-annotated job yet, so nothing can be said of savings.",)
    share, first, second = objects.saved, objects.with_it, objects.without
    way = "saves" if share.value >= 0 else "costs"
    main = (
        f"Pre-annotation {way} {abs(share.value):.0%} of people's time: an object takes "
        f"{first.seconds.value:.1f} s with it and {second.seconds.value:.1f} s without, a frame "
        f"{frames.with_it.seconds.value:.0f} s and {frames.without.seconds.value:.0f} s."
    )
    told = [main]
    if share.low is not None and share.high is not None:
        sure = (
            "The time saved is surely above zero"
            if share.low > 0
            else "It surely costs more time than it saves"
            if share.high < 0
            else "That may still be chance"
        )
        told.append(
            f"{sure}: with 95 % confidence between {share.low:.0%} and {share.high:.0%}, from "
            f"{first.jobs} pre-annotated jobs and {second.jobs} control jobs."
        )
    word = "saved" if hours.value >= 0 else "lost"
    told.append(f"That is {abs(hours.value):.1f} hours {word} so far.")
    return tuple(told)


def _notes(
    config: Config, clock: Clock, basis: Basis, arms: Mapping[str, Sequence[JobEffort]]
) -> tuple[str, ...]:
    controls, one_in = len(arms["control"]), config.savings.control_every
    told = []
    if basis == "analytics":
        told.append("The seconds are the working time that CVAT's analytics recorded.")
    elif basis == "job times":
        told.append(
            "The seconds are the times between two jobs that the same person finished, since "
            "CVAT's working time is not known; pauses of over an hour are left out, shorter ones "
            "are not."
        )
    elif basis == "cost model":
        told.append(
            "Nothing is measured by a clock yet: the seconds are those of the cost model in the "
            "configuration, for what people did. So there is no interval."
        )
    if clock.why_not:
        told.append(f"CVAT gave no working time: {clock.why_not}.")
    if clock.own_only:
        told.append(
            "CVAT shows our account its own events alone. As an administrator, or a maintainer of "
            "the organization, it would see everybody's working time."
        )
    if not one_in:
        told.append("No control jobs are sent out: savings.control_every is 0.")
    elif basis in ("cost model", "nothing") and controls < LEAST_JOBS:
        told.append(
            f"A comparison needs {LEAST_JOBS} finished control jobs, which go out without "
            f"pre-annotation; there {'is' if controls == 1 else 'are'} {controls}. One job in "
            f"{one_in} is made one, by chance."
        )
    return tuple(told)
