"""The screen *Now*: what serves and why, what is under way, what people have before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from cvat_bridge.models.serving import Serving, now_serving
from cvat_bridge.web.screens.bar import Bar, bar_of
from cvat_bridge.web.screens.batch import Batch, batch_of
from cvat_bridge.web.screens.figures import GateVerdict, verdict_of
from cvat_bridge.web.screens.history import (
    Curve,
    RoundCorrections,
    advice_of,
    corrected_of,
    curve_of,
)
from cvat_bridge.web.screens.work import Work, work_of
from cvat_bridge.web.sites import Site

log = structlog.get_logger("page")


@dataclass(frozen=True)
class Now:
    """What the screen shows.

    why: the decision by which the serving model serves, None for none by a round. last: the
    newest decision where that is another one. withheld: classes that are not pre-annotated → why.
    pre_annotates: from which score objects are shown, by label.
    """

    bar: Bar
    why: GateVerdict | None
    last: GateVerdict | None
    work: tuple[Work, ...]
    batch: Batch | None
    advice: tuple[str, ...]
    curve: Curve
    corrected: tuple[RoundCorrections, ...]
    pool: int | None
    labelled: int | None
    withheld: dict[str, str]
    pre_annotates: dict[str, float]


def bar(site: Site, name: str) -> Bar:
    """Return the project bar. Raises BridgeError where the records cannot be read."""
    parts = site.parts
    rounds = sorted(parts.ledger.rounds(site.id), key=lambda row: row.number)
    doing = site.doing()
    return bar_of(site.id, name, serving(site), rounds, parts.ledger.decisions(), doing)


def serving(site: Site) -> Serving:
    """Return what serves."""
    parts = site.parts
    return now_serving(site.config, parts.home, parts.ledger, parts.registry)


def now(site: Site, name: str) -> Now:
    """Put the screen together from the records. Raises BridgeError."""
    parts = site.parts
    ledger = parts.ledger
    rounds = sorted(ledger.rounds(site.id), key=lambda row: row.number)
    decisions = ledger.decisions()
    doing = site.doing()
    head = bar_of(site.id, name, serving(site), rounds, decisions, doing)
    why = next(
        (d for d in reversed(decisions) if d.promoted and d.challenger == head.version), None
    )
    last = decisions[-1] if decisions and decisions[-1] is not why else None
    curve = curve_of(rounds, decisions)
    figures = rounds[-1].figures if rounds else {}
    trust: dict[str, Any] = next(
        (r.figures["trust"] for r in reversed(rounds) if "trust" in r.figures), {}
    )
    shown: dict[str, Any] = next(
        (r.figures["shown_from"] for r in reversed(rounds) if "shown_from" in r.figures), {}
    )
    return Now(
        bar=head,
        why=verdict_of(why) if why is not None and head.version else None,
        last=verdict_of(last) if last is not None else None,
        work=work_of(parts.home.runs, rounds[-1] if rounds else None, doing),
        batch=batch_of(parts.home, ledger, rounds, site.config.active_learning.cost),
        advice=advice_of(curve, rounds, stop_gain=site.config.active_learning.stop_gain),
        curve=curve,
        corrected=corrected_of(ledger.outcomes()),
        pool=figures.get("pool"),
        labelled=figures.get("labelled_frames"),
        withheld=dict(trust.get("withheld") or {}),
        pre_annotates=dict(shown.get("scores") or {}),
    )


@dataclass(frozen=True)
class NowWork:
    """The part of the screen that changes by itself. mark: changes when the rest is out of date."""

    bar: Bar
    work: tuple[Work, ...]
    mark: str


def now_work(site: Site, name: str) -> NowWork:
    """Return what is under way. Raises BridgeError."""
    parts = site.parts
    head = bar(site, name)
    rounds = sorted(parts.ledger.rounds(site.id), key=lambda row: row.number)
    doing = site.doing()
    work = work_of(parts.home.runs, rounds[-1] if rounds else None, doing)
    return NowWork(head, work, mark(head))


def mark(head: Bar) -> str:
    """Name what the screen was made of, so that an open one knows when it is out of date."""
    return f"{head.round}.{(head.version or 'none')[:8]}.{len(head.alarms)}"


def begin_round(site: Site, who: str) -> str:
    """Ask the service for a round, due or not; say what happens. Asking twice asks once."""
    log.info("round asked for", project=site.id, by=who)
    site.parts.home.ask_for_round()
    site.wake()
    return (
        "The service was asked to begin a round. It begins when the one under way is done; "
        "asking again changes nothing."
    )
