"""What `promote` says of the version that it lets serve, and of the one in whose place it comes."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from cvat_bridge.ledger.records import Decision
from cvat_bridge.models.figures import compared
from trainer.bundles.bundle import write_bundle
from trainer.registry.versions import Version


@pytest.fixture
def versions(tmp_path):
    """Two versions; the second carries figures of its own fit."""
    made = []
    for number, metrics in ((1, {}), (2, {"ap": 0.57, "ap50": 0.8, "frames": 20, "split": "test"})):
        weights = tmp_path / f"{number}.weights"
        weights.write_text(str(number))
        bundle = write_bundle(
            tmp_path / str(number),
            files={"model.onnx": weights},
            name="m",
            engine="centernet",
            task="boxes",
            labels=("cell",),
            input_size=(32, 32),
            metrics=metrics,
        )
        now = datetime.now(timezone.utc)
        made.append(Version("k", number, bundle.version, bundle.path, now, number == 1, {}, {}, {}))
    return made


def decided(number, champion, challenger, ap, other):
    figures = {
        "champion": ap and {"ap": ap, "ap50": ap},
        "challenger": other and {"ap": other, "ap50": other},
    }
    return Decision(number, champion, challenger, False, (), figures, "2026")


def test_two_that_a_round_judged_are_compared_on_its_frames(versions, ledger):
    first, second = versions
    ledger.save_decision(decided(3, first.bundle, second.bundle, 0.5, 0.261))

    found = compared(ledger, second, first, metric="ap")

    assert str(found.now) == "version 2: AP 0.261, AP50 0.261 on the holdout of round 3"
    assert found.before is not None and found.before.ap == 0.5
    assert found.warnings == (
        (
            "version 2 is worse than version 1, which served before: AP 0.261 against 0.500. "
            "`rollback` undoes it"
        ),
    )


def test_figures_of_different_frames_are_said_to_be(versions, ledger):
    first, second = versions
    ledger.save_decision(decided(1, "", first.bundle, None, 0.9))

    found = compared(ledger, second, first, metric="ap50")

    assert str(found.now) == "version 2: AP 0.570, AP50 0.800 on the 20 frames of its own test part"
    assert "AP50 0.800 against 0.900, on other frames" in found.warnings[0]


def test_a_better_one_needs_no_warning_and_an_unjudged_one_does(versions, ledger):
    first, second = versions

    assert compared(ledger, second, None, metric="ap").warnings == ()
    (told,) = compared(ledger, first, second, metric="ap").warnings
    assert "never judged here" in told
