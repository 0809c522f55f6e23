"""Groups of assets: versions that never change, what was trained and judged on them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.evaluations.table import write_table
from cvat_bridge.groups.exporting import exported_file
from cvat_bridge.groups.making import GroupRequest, find_group, latest, make_group
from cvat_bridge.groups.usage import usage_of
from cvat_bridge.ledger.records import Decision, FrameFacts, Judgement, Membership, Round
from tests.bench.paging.speed import drawn_judged


def make(home, ledger, name="Night", kind="frames", *, who="mira", **of):
    return make_group(home, ledger, GroupRequest(name, kind, **of), who=who, now="2026-03-01")


def facts(ledger, count):
    ledger.add_frames(
        FrameFacts(f"1/{n}", 1, n, f"{n:064x}", ".jpg", 64, 48, f"{n:064x}") for n in range(count)
    )


def snapshot(home, images):
    """A snapshot of these frames, those of even number to train on."""
    name = "abcdef0123456789"
    folder = home.snapshots / name
    folder.mkdir(parents=True)
    rows = [
        {
            "file_name": f"{n}.jpg",
            "sha256": f"{n:064x}",
            "split": "holdout" if n % 2 else "train",
            "extra": {"task": 1, "frame": n},
        }
        for n in images
    ]
    held = {"fingerprint": name, "labels": ["cell"], "images": rows}
    (folder / "manifest.json").write_text(json.dumps(held))
    return name


def test_the_same_frames_again_are_the_same_version(home, ledger):
    first = make(home, ledger, frames=("1/2", "1/3", "1/2"))
    again = make(home, ledger, frames=("1/3", "1/2"), who="ann")
    more = make(home, ledger, frames=("1/2", "1/3", "2/9"), who="ann")

    assert first == again
    assert (first.version, first.who, first.frames) == (1, "mira", ("1/2", "1/3"))
    assert (more.version, more.who) == (2, "ann")
    assert latest(ledger, "Night") == more
    assert find_group(ledger, "Night", 1) == first


def test_a_snapshot_becomes_a_group_by_where_its_frames_are_in_cvat(home, ledger):
    name = snapshot(home, [12, 3, 7])
    row = make(home, ledger, kind="snapshot", snapshot=name[:8])
    assert row.frames == ("1/3", "1/7", "1/12")
    assert row.about.startswith("snapshot abcdef012345")


def test_the_holdout_is_a_group_and_its_next_version_when_it_grew(home, ledger):
    facts(ledger, 6)
    ledger.add_memberships([Membership(f"{4:064x}", "holdout", "g", "share", "2026")])
    assert make(home, ledger, kind="holdout").frames == ("1/4",)
    ledger.add_memberships([Membership(f"{2:064x}", "holdout", "g", "share", "2026")])
    grown = make(home, ledger, kind="holdout")
    assert (grown.version, grown.frames) == (2, ("1/2", "1/4"))
    assert grown.images == (f"{2:064x}", f"{4:064x}")


def test_what_was_trained_and_judged_on_it_is_found_by_content(home, ledger):
    facts(ledger, 10)
    name = snapshot(home, range(10))
    ledger.save_round(Round(3, 1, "done", figures={"dataset": str(home.snapshots / name)}))
    ledger.save_decision(Decision(3, "", "m3", True, (), {}, "2026"))
    table = write_table(home.judged, drawn_judged(np.random.default_rng(0), 50))
    ledger.save_judgement(Judgement("m4", "holdout", 4, 5, 50, 9, 0.3, table, "", "2026"))

    used = usage_of(home, ledger, make(home, ledger, frames=("1/2", "1/3", "1/4", "1/9")))

    assert [(one.model, one.how, one.round, one.frames) for one in used] == [
        ("m4", "judged", 4, 3),
        ("m3", "trained", 3, 2),
    ]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (GroupRequest("", "frames", frames=("1/2",)), "name"),
        (GroupRequest("a/b", "frames", frames=("1/2",)), "without a slash"),
        (GroupRequest("../x", "frames", frames=("1/2",)), "a letter or digit first"),
        (GroupRequest("n" * 101, "frames", frames=("1/2",)), "at most|1 to 100"),
        (GroupRequest("ok", "frames", frames=("../etc",)), "<task>/<number>"),
        (GroupRequest("ok", "snapshot", snapshot="../../etc"), "fingerprint"),
        (GroupRequest("ok", "snapshot", snapshot="0123456789"), "0 snapshots begin"),
    ],
)
def test_bad_wishes_are_refused_in_words_and_make_nothing(home, ledger, request_, words):
    with pytest.raises(ConfigError, match=words):
        make_group(home, ledger, request_, who="m", now="")
    assert ledger.people.groups() == ()


def test_no_frame_is_no_group(home, ledger):
    with pytest.raises(NothingToDoError, match="no frame for the group"):
        make(home, ledger, kind="holdout")
    with pytest.raises(ConfigError, match="there is no group 'Night'; known are none yet"):
        find_group(ledger, "Night")


def test_files_of_exports_stay_in_their_folder(home, ledger):
    row = make(home, ledger, name="a .. b: ünlü", frames=("1/2",))
    path = exported_file(home, row, "coco")
    assert path.parent == home.root / "exports"
    assert path.name.endswith("-v1-coco.zip")
    with pytest.raises(ConfigError, match="one of coco, yolo"):
        exported_file(home, row, "../../x")
