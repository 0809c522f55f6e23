"""The model's objects go into a round's jobs before anybody has them."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.prioritise import RankedJob
from cvat_bridge.progress import Report, quiet
from cvat_bridge.settings import RoundSettings


@dataclass(frozen=True)
class PreAnnotated:
    """What was written. proposed: objects by label. skipped: jobs left alone and why."""

    proposed: dict[str, int]
    skipped: dict[int, str]
    unmatched: dict[str, int]  # objects of model classes that the project has no label for


def preannotate(
    gateway: Gateway,
    ledger: Ledger,
    project_id: int,
    jobs: tuple[RankedJob, ...],
    *,
    number: int,
    model: str,
    home: Home,
    settings: RoundSettings,
    report: Report = quiet,
) -> PreAnnotated:
    """Write the predictions of `model` into the jobs and record them in the ledger.

    Shapes carry source auto and score, and fit the type of the label. Calling it again adds
    nothing twice. A job where people have drawn is left alone.
    """
    raise NotImplementedError
