"""A training by hand: a snapshot of chosen parts of CVAT, and a fit of it in its own process."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cvat_bridge.config import TrainerSection
from cvat_bridge.errors import ConfigError
from cvat_bridge.facts import gather
from cvat_bridge.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.progress import Report, quiet
from cvat_bridge.pull import Pulled, pull
from cvat_bridge.round.fitting import fit_settings_of
from cvat_bridge.settings import RoundSettings
from cvat_bridge.training_choice import Choice, chosen
from trainer.backends import backend
from trainer.errors import ConfigError as FitConfigError

_NAME = re.compile(r"[\w][\w.-]{0,99}")


def check_training(settings: TrainerSection, name: str) -> None:
    """Refuse settings that cannot be used before CVAT is asked for anything; all at once."""
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(f"the run's name must be letters, digits, '_', '.' or '-': {name!r}")
    try:
        config = fit_settings_of(settings)
        backend(config.backend).check(config)
    except FitConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError(faults)


def snapshot(
    gateway: Gateway,
    ledger: Ledger,
    project_id: int,
    choice: Choice,
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
    share = settings.holdout_share if choice.holdout_share is None else choice.holdout_share
    settings = replace(settings, holdout_share=share)
    with TemporaryDirectory() as scratch, Ledger(Path(scratch) / "ledger.db") as own:
        own.add_frames(ledger.frames().values())
        own.add_memberships(row for row in ledger.memberships().values() if row.role == "holdout")
        facts = chosen(gather(gateway, own, project_id, settings), choice)
        return pull(
            gateway, own, facts, home=home, settings=settings, now=lambda: now, report=report
        )


def run_folder(home: Home, name: str) -> Path:
    """Return the folder of a run of that name."""
    return home.runs / name
