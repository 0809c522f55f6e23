"""The gate judges a champion on frames that it did not learn from, known by content."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Decision
from cvat_bridge.loop.deciding import decide_champion
from cvat_bridge.loop.unseen_holdout import unseen_part
from tests.fakes.spots import spotted
from tests.serverless.bright_spots import bright_spots
from trainer.bundles.kept_bundles import keep_bundle
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_snapshot
from trainer.gate.gate_settings import GateSettings
from trainer.registry.versions import Version
from trainer.runs.provenance import with_provenance

LABELS = LabelMap(("red",))


def snapshot(
    home: Home, *, train: range, holdout: range = range(0), project: int = 1, prefix: str = ""
) -> Dataset:
    """Write a snapshot of pictures by number."""
    files = home.root / "pictures"
    files.mkdir(parents=True, exist_ok=True)
    sides = [(n, "train") for n in train] + [(n, "holdout") for n in holdout]
    sources = {}
    for n, _ in sides:
        sources[f"{prefix}{n}.png"] = files / f"{n}.png"
        (files / f"{n}.png").write_bytes(spotted(n))
    images = [
        AnnotatedImage(
            f"{prefix}{n}.png", 32, 32, side, objects=(AnnotatedObject(0, (4.0, 4.0, 9.0, 9.0)),)
        )
        for n, side in sides
    ]
    return write_snapshot(
        home.snapshots,
        labels=LABELS,
        images=images,
        sources=sources,
        manifest={"project": project},
    )


def a_version(
    home: Home, folder: Path, learnt: Dataset | str, *, gain: float = 8.0, base: str | None = None
) -> Version:
    fingerprint = learnt if isinstance(learnt, str) else learnt.path.name
    bundle = with_provenance(
        bright_spots(folder / f"m{gain}", gain=gain, labels=("red",)),
        {"dataset": fingerprint, "base": None if base is None else {"version": base}},
    )
    path = keep_bundle(bundle, home.bundles)
    created = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Version("project-1", 1, bundle.version, path, created, False, {}, {}, {})


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.mark.parametrize(("project", "prefix"), [(1, ""), (2, ""), (2, "other-")])
def test_frames_that_a_model_learnt_from_do_not_judge_it(
    place: Home, tmp_path: Path, project: int, prefix: str
) -> None:
    """Also where they came in another project's snapshot, or under another name."""
    before = snapshot(place, train=range(8), project=project, prefix=prefix)
    now = snapshot(place, train=range(20, 30), holdout=range(4, 16))
    model = a_version(place, tmp_path, before)

    found = unseen_part(now, model.path, known={})

    assert found.left_out == ("4.png", "5.png", "6.png", "7.png")
    assert len(found.dataset.split("holdout")) == 8 and found.held == 12
    assert len(found.dataset.split("train")) == 10
    assert "4 of the 12 holdout frames" in found.notes[0]


def test_what_the_model_began_with_counts_too(place: Home, tmp_path: Path) -> None:
    first = a_version(place, tmp_path, snapshot(place, train=range(4)), gain=7.0)
    second = a_version(
        place, tmp_path, snapshot(place, train=range(40, 44)), gain=6.0, base=first.bundle
    )
    now = snapshot(place, train=range(20, 30), holdout=range(12))

    assert unseen_part(now, second.path, known={}).left_out == ("0.png", "1.png", "2.png", "3.png")


def test_a_snapshot_that_is_gone_is_told(place: Home, tmp_path: Path) -> None:
    now = snapshot(place, train=range(20, 30), holdout=range(12))

    found = unseen_part(now, a_version(place, tmp_path, "f" * 64).path, known={})

    assert found.left_out == () and "not here any more" in found.notes[0]


def test_a_clean_holdout_is_left_as_it_is(place: Home, tmp_path: Path) -> None:
    now = snapshot(place, train=range(20, 30), holdout=range(12))

    found = unseen_part(
        now, a_version(place, tmp_path, snapshot(place, train=range(50, 60))).path, known={}
    )

    assert found.dataset is now and found.notes == ()


def decided(place: Home, tmp_path: Path, ledger: Ledger, learnt: range) -> Decision:
    now = snapshot(place, train=range(20, 30), holdout=range(12))
    champion = a_version(place, tmp_path, snapshot(place, train=learnt), gain=7.0)
    return decide_champion(
        ledger,
        number=3,
        champion=champion,
        challenger=a_version(place, tmp_path, now, gain=9.0),
        dataset=now.path,
        gate=GateSettings(),
        seed=1,
        now=lambda: "2026-01-01T00:00:00Z",
    )


def test_the_decision_rests_on_honest_frames_and_says_so(
    place: Home, tmp_path: Path, ledger: Ledger
) -> None:
    decision = decided(place, tmp_path, ledger, range(1))

    assert decision.figures["gate"]["frames"] == 11
    assert any("learnt from 1 of the 12 holdout frames" in one for one in decision.reasons)


def test_too_few_honest_frames_are_said(place: Home, tmp_path: Path, ledger: Ledger) -> None:
    decision = decided(place, tmp_path, ledger, range(11))

    assert not decision.promoted
    assert any("11 of the 12 holdout frames" in one for one in decision.reasons)


def test_no_honest_frame_left_shows_no_figure(place: Home, tmp_path: Path, ledger: Ledger) -> None:
    decision = decided(place, tmp_path, ledger, range(12))

    assert not decision.promoted and decision.figures["champion"] is None
    assert "no honest frame is left" in decision.reasons[0]
