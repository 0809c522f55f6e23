"""Likely mistakes: sent to review once, decided by what people did, ranked by what they decided."""

from __future__ import annotations

import numpy as np
import pytest

from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.mistakes.disputes import Disputes
from cvat_bridge.mistakes.feedback import chances, ranked
from cvat_bridge.mistakes.listing import keep_list, kept_list, suspect_key, suspect_of
from cvat_bridge.mistakes.ranking import Suspect
from cvat_bridge.mistakes.review import (
    read_verdicts,
    send_to_review,
    still_to_review,
    verdicts,
    was_mistake,
)
from cvat_bridge.project.facts import gather
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.convert import LabelledObject
from tests.fakes.faulty import DyingGateway, KilledError
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer

LEFT, RIGHT = (2.0, 3.0, 18.0, 20.0), (30.0, 4.0, 46.0, 22.0)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as found:
        yield found


@pytest.fixture
def server():
    found = FakeServer()
    found.made = found.add_project("cells", ["cell", "dust"])
    found.task = found.add_task(found.made.id, {f"{n}.png": picture(n) for n in range(4)})
    (found.job,) = found.jobs_of(found.task.id)
    return found


def suspect(server, frame, kind="overlooked", *, label="cell", box=LEFT, score=0.1, cvat_id=None):
    return Suspect(
        server.job.id, server.task.id, frame, kind, label, "", box, score, cvat_id, "a reason"
    )


def send(gateway, ledger, rows, who="mira"):
    return send_to_review(gateway, ledger, rows, who=who, now="2026-03-01")


def test_each_label_is_sent_once_whoever_sends_it(server, ledger):
    gateway = FakeGateway(server)
    rows = [suspect(server, 0), suspect(server, 1)]

    first = send(gateway, ledger, rows)
    second = send(gateway, ledger, [*rows, suspect(server, 2)], who="ann")

    assert [row.issue for row in second[:2]] == [row.issue for row in first]
    assert len(server.issues) == 3
    assert {row.who for row in second} == {"mira", "ann"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_in_the_middle_is_made_good_by_sending_again(server, ledger, at, after):
    rows = [suspect(server, frame) for frame in range(3)]
    with pytest.raises(KilledError):
        send(DyingGateway(FakeGateway(server), at=at, after=after), ledger, rows)

    done = send(FakeGateway(server), ledger, rows)

    assert len(server.issues) == 3
    assert {row.issue for row in done} == set(server.issues)
    assert [row.who for row in ledger.people.reviews()] == ["mira"] * 3


def draw(server, frame, box, label="cell"):
    shape = {"type": "rectangle", "frame": frame, "points": list(box)}
    server.annotate(
        server.job.id,
        shapes=[{**shape, "label_id": server.label(server.made.id, label).id}],
    )


def test_what_people_did_says_whether_it_was_a_mistake(server, ledger):
    gateway = FakeGateway(server)
    draw(server, 1, LEFT)
    rows = [suspect(server, 0), suspect(server, 1, "swapped"), suspect(server, 2)]
    sent = send(gateway, ledger, rows)

    def read():
        found = read_verdicts(
            gateway, ledger, lambda: gather(gateway, ledger, server.made.id, RoundSettings())
        )
        return {row.suspect["frame"]: row.verdict for row in found}

    assert read() == {0: "", 1: "", 2: ""}
    draw(server, 0, (2.0, 4.0, 18.0, 20.0))
    server.resolved |= {sent[0].issue, sent[1].issue}
    del server.issues[sent[2].issue]
    assert read() == {0: "mistake", 1: "right", 2: "gone"}
    told = {one.frame: right for one, right in verdicts(ledger.people.reviews())}
    assert told == {0: True, 1: False}
    assert gateway.calls["issue_resolved"] == 6
    read()
    assert gateway.calls["issue_resolved"] == 6


def held(box, label="cell", cvat_id=7):
    return LabelledObject(label, "rectangle", box, (), None, "manual", 1.0, cvat_id)


@pytest.mark.parametrize(
    ("kind", "now", "mistake"),
    [
        ("overlooked", [], False),
        ("overlooked", [held(RIGHT)], False),
        ("overlooked", [held(LEFT, "dust")], False),
        ("overlooked", [held(LEFT)], True),
        ("swapped", [held(LEFT)], False),
        ("swapped", [held(LEFT, "dust")], True),
        ("swapped", [held(LEFT, cvat_id=99)], False),
        ("swapped", [], True),
        ("badly placed", [held(LEFT)], False),
        ("badly placed", [held((2.0, 3.0, 22.0, 24.0))], True),
        ("badly placed", [held(RIGHT, cvat_id=8)], True),
    ],
)
def test_verdicts_by_kind(server, kind, now, mistake):
    asked = suspect(server, 0, kind, cvat_id=None if kind == "overlooked" else 7)
    assert was_mistake(asked, now) is mistake


def test_what_was_sent_is_not_listed_again_though_another_model_sees_it(server, ledger):
    send(FakeGateway(server), ledger, [suspect(server, 0)])
    near = suspect(server, 0, box=(3.0, 3.0, 19.0, 21.0))
    other = [suspect(server, 0, "swapped"), suspect(server, 1), suspect(server, 0, box=RIGHT)]
    assert still_to_review([near, *other], ledger.people.reviews()) == tuple(other)


def test_the_list_keeps_its_order_until_somebody_decides(server):
    rows = [suspect(server, n % 4, score=n / 10) for n in range(9)]
    assert ranked(rows, []) == (tuple(rows), ())


def test_verdicts_bring_the_kind_that_is_right_to_the_top(server):
    rng = np.random.default_rng(0)
    rows = [
        suspect(server, n % 4, ("overlooked", "badly placed")[n % 2], score=float(rng.random()))
        for n in range(60)
    ]
    reviewed = [(one, one.kind == "badly placed") for one in rows[:20]]

    order, chance = ranked(rows[20:], reviewed)

    assert {one.kind for one in order[:15]} == {"badly placed"}
    assert chance[0] > 0.6
    assert chance[-1] < 0.3
    assert sorted(chance, reverse=True) == list(chance)


def test_one_verdict_moves_the_list_little(server):
    rows = [suspect(server, n % 4, score=n / 60) for n in range(60)]
    order, _ = ranked(rows, [(suspect(server, 0, score=0.0), False)])
    places = [rows.index(one) for one in order]
    assert np.corrcoef(places, range(60))[0, 1] > 0.95
    assert np.all(np.isfinite(chances(rows, [(rows[0], True)])))


def test_the_list_is_kept_whole(server, tmp_path):
    home = Home(tmp_path)
    assert kept_list(home).made == ""
    rows = tuple(suspect(server, n) for n in range(4))
    made = keep_list(home, "m1", Disputes(rows, 4, 3, 2, 1, ("careful",)), now="2026-03-01")
    assert kept_list(home) == made
    assert [suspect_key(one) for one in made.suspects] == [suspect_key(one) for one in rows]
    assert suspect_of(vars(rows[0])) == rows[0]
