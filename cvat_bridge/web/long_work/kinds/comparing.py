"""Two models on the same test frames, as `trainer compare` holds them against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cvat_bridge.errors import NothingToDoError
from cvat_bridge.loop.deciding import fingerprints_of
from cvat_bridge.loop.unseen_holdout import unseen_part
from cvat_bridge.progress import Report
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.long_work.works import Do, Ended, Handle
from cvat_bridge.web.sites import Site
from trainer.bundles.bundle import Bundle
from trainer.data.dataset import Dataset, load_dataset
from trainer.detector import Progress
from trainer.evaluation.sheet import write_sheet
from trainer.gate.side_by_side import SideBySide, side_by_side

FRAMES = 8  # on which they differ most, as pictures
Find = Callable[[str], Bundle]


def comparing(site: Site, find: Find) -> Do:
    """Return what does it. find: a model by its reference, BridgeError or TrainerError without."""

    def do(work: Work, handle: Handle) -> Ended:
        asked = work.request
        first, second = find(str(asked["first"])), find(str(asked["second"]))
        data = load_dataset(site.parts.home.snapshots / str(asked["dataset"]))
        folder = pictures_of(site, work.key)
        return Ended(compared(site, first, second, data, report=handle.report, pictures=folder))

    return do


def pictures_of(site: Site, key: str) -> Path:
    """Return the folder of the pictures of a comparison."""
    return site.parts.home.long_work / "compare" / f"{key}.pictures"


def compared(
    site: Site,
    first: Bundle,
    second: Bundle,
    data: Dataset,
    *,
    report: Report,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Compare on the holdout frames that neither learnt from; JSON values.

    {"first", "second": figures; "metric", "gain", "low", "high", "reasons", "notes", "frames",
    "objects", "classes", "sizes": rows (name, first, second, objects), "apart": rows (file, first,
    second)}. pictures: folder for <n>.png of the frames on which they differ most. Raises
    NothingToDoError where no frame is left, TrainerError.
    """
    known, notes = fingerprints_of(site.parts.ledger, data), []
    held = len(data.split("holdout"))
    for bundle in (first, second):
        honest = unseen_part(data, bundle.path, known=known)
        data = honest.dataset
        if honest.left_out:
            frames = len(honest.left_out)
            notes.append(
                f"{bundle.card.name} learnt from {frames} of the test frames; they are left out."
            )
    left = len(data.split("holdout"))
    if not left:
        raise NothingToDoError(
            "no test frame is left that neither model learnt from"
            if held
            else "there are no labelled test frames: name a test part, or set frames aside"
        )

    def told(step: Progress) -> None:
        report("compare on the test frames", step.done, step.total)

    found = side_by_side(
        first,
        second,
        data,
        split="holdout",
        settings=site.config.promotion,
        seed=site.config.trainer.seed,
        report=told,
    )
    apart = found.apart[:FRAMES]
    if pictures is not None:
        for place, row in enumerate(apart):
            write_sheet(
                pictures / f"{place}.png", data, "holdout", found.first, found.second, [row]
            )
    return _values(found, left, notes)


def _values(found: SideBySide, frames: int, notes: list[str]) -> dict[str, Any]:
    one, other = found.first.to_json(), found.second.to_json()
    figures: Mapping[str, Any] = found.decision.figures
    objects = found.first.evaluation.objects
    return {
        "first": {"version": one["version"], "ap": one["ap"], "ap50": one["ap50"]},
        "second": {"version": other["version"], "ap": other["ap"], "ap50": other["ap50"]},
        "metric": figures.get("metric", "ap"),
        "gain": figures.get("gain"),
        "low": figures.get("gain_low"),
        "high": figures.get("gain_high"),
        "reasons": list(found.decision.reasons),
        "notes": notes,
        "frames": frames,
        "objects": sum(objects.values()),
        "classes": [
            [name, one["class_ap"].get(name), other["class_ap"].get(name), count]
            for name, count in objects.items()
        ],
        "sizes": [
            [name, one["size_ap"][name], other["size_ap"][name], one["size_objects"][name]]
            for name in one["size_ap"]
        ],
        "apart": [[row.file_name, row.first, row.second] for row in found.apart[:FRAMES]],
    }
