"""A training by hand: a snapshot of chosen parts of CVAT, and a fit of it in its own process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cvat_bridge.config import TrainerSection
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Membership
from cvat_bridge.models.publishing import LABEL_IDS
from cvat_bridge.models.serving import project_key
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import Pulled, pull
from cvat_bridge.settings import RoundSettings
from cvat_bridge.training.choice import MOST_HELD_OUT, TrainingChoice, chosen
from cvat_bridge.training.micro_model import key_of
from trainer.backends import backend
from trainer.bundles.bundle import read_bundle
from trainer.errors import ConfigError as FitConfigError
from trainer.registry.registry import Registry
from trainer.registry.versions import Version
from trainer.runs.fit_settings import fit_config
from trainer.runs.provenance import with_provenance

TEST_PART = "named to test on, by `train`"
_NAME = re.compile(r"[\w][\w.-]{0,99}")


def check_training(settings: TrainerSection, name: str) -> None:
    """Refuse settings that cannot be used before CVAT is asked for anything; all at once."""
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(f"the run's name must be letters, digits, '_', '.' or '-': {name!r}")
    try:
        config = fit_config(settings.given)
        backend(config.backend).check(config)
    except FitConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError(faults)


def snapshot(
    gateway: Gateway,
    ledger: Ledger,
    project_id: int,
    choice: TrainingChoice,
    *,
    home: Home,
    settings: RoundSettings,
    now: str,
    report: Report = quiet,
) -> Pulled:
    """Pull the chosen parts as a dataset; the loop and its records know nothing of it.

    ledger: the loop's, only read: what it holds out is not trained on here either. Raises
    ConfigError for parts that are not there, and what pulling raises.
    """
    share = choice.holdout_share
    if share is not None and 0 <= share <= MOST_HELD_OUT:  # else `chosen` tells, with all else
        settings = replace(settings, holdout_share=share)
    with TemporaryDirectory() as scratch, Ledger(Path(scratch) / "ledger.db") as own:
        own.add_frames(ledger.frames().values())
        own.add_memberships(row for row in ledger.memberships().values() if row.role == "holdout")
        facts = chosen(gather(gateway, own, project_id, settings), choice)
        pulled = pull(
            gateway, own, facts, home=home, settings=settings, now=lambda: now, report=report
        )
    if not pulled.train:
        raise ConfigError(
            [
                (
                    "nothing is left to learn from: every frame of the chosen parts judges models "
                    "already (a holdout, or the test part of an earlier `train`)"
                )
            ]
        )
    return pulled


def keep_test_part(ledger: Ledger, pulled: Pulled) -> int:
    """Let the test part of a training by hand stay one: no later round learns from its frames.

    What people named to test on judges every model from now on, as a holdout subset does. Known by
    content, with near-duplicates. Returns how many frames were new to the holdout. Raises
    LedgerError.
    """
    return keep_held(ledger, pulled.held)


def keep_held(ledger: Ledger, held: Iterable[Membership]) -> int:
    """Let the held-out frames of a training by hand stay so; see keep_test_part."""
    known = {sha for sha, row in ledger.memberships().items() if row.role == "holdout"}
    rows = [replace(row, rule=TEST_PART) for row in held if row.sha256 not in known]
    ledger.add_memberships(rows)
    return len(rows)


def register(
    registry: Registry,
    project_id: int,
    bundle: Path,
    *,
    run: str,
    dataset: str,
    labels: Mapping[str, int],
) -> Version:
    """Return what was learnt a number among the project's models, so that it can be promoted.

    dataset: the snapshot's fingerprint. labels: the project's label ids by name. An interactor is
    registered beside the others: it answers clicks and cannot serve in a detector's place.
    """
    made = with_provenance(
        read_bundle(bundle), {"project": project_id, "run": run, "strategy": "chosen by hand"}
    )
    key = project_key(project_id)
    return registry.register(
        key_of(key) if made.card.task == "interactor" else key,
        made,
        metrics=made.card.figures,
        params={"run": run},
        tags={"dataset": dataset, LABEL_IDS: json.dumps(dict(labels))},
    )


def run_folder(home: Home, name: str) -> Path:
    """Return the folder of a run of that name."""
    return home.runs / name
