"""What people set going in a project: its long work by kind, and the models at hand."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cvat_bridge.annotate.looking.looker import Looker
from cvat_bridge.web.long_work.kinds.annotating import annotating
from cvat_bridge.web.long_work.kinds.bringing import bringing
from cvat_bridge.web.long_work.kinds.comparing import comparing
from cvat_bridge.web.long_work.kinds.finding import find_bundle
from cvat_bridge.web.long_work.kinds.training import training
from cvat_bridge.web.long_work.lane import Lane
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.long_work.works import Do, Works
from cvat_bridge.web.sites import Site


class Desk:
    """The long work of one project. lanes: queues by kind, one for all projects of the service."""

    def __init__(self, site: Site, lanes: Mapping[str, Lane]) -> None:
        parts = site.parts
        self.looker = Looker(
            parts.gateway,
            parts.ledger,
            parts.registry,
            key=parts.key,
            store=parts.functions,
            locks=parts.home.root / "annotating",
        )
        kinds: dict[str, Do] = {
            "annotate": annotating(site, self.looker),
            "train": training(site),
            "bring": bringing(site),
            "compare": comparing(site, partial(find_bundle, site)),
        }
        self.works = {
            kind: Works(parts.home.long_work / kind, kind, site.id, do, lanes[kind])
            for kind, do in kinds.items()
        }
        self._forget_uploads(parts.home.long_work / "uploads")
        for one in self.works.values():
            one.resume_all()

    def _forget_uploads(self, folder: Path) -> None:
        """Remove what was sent and never asked for: its service was killed in between."""
        for path in folder.glob("*/"):
            known = self.works["bring"].find(path.name)
            if known is None or not known.is_under_way:
                shutil.rmtree(path, ignore_errors=True)

    def find(self, key: str) -> Work | None:
        """Return a piece of work of any kind."""
        return next((one for works in self.works.values() if (one := works.find(key))), None)


class Desks:
    """The desks of all projects, opened at first use."""

    KINDS = ("annotate", "train", "bring", "compare")

    def __init__(self) -> None:
        self._lanes = {kind: Lane(kind) for kind in self.KINDS}
        self._desks: dict[int, Desk] = {}
        self._lock = threading.Lock()

    def of(self, site: Site) -> Desk:
        """Return the desk of a project. Raises BridgeError."""
        with self._lock:
            if site.id not in self._desks:
                self._desks[site.id] = Desk(site, self._lanes)
            return self._desks[site.id]

    def close(self) -> None:
        """Let everything end where it can go on at the next start."""
        for desk in self._desks.values():
            for works in desk.works.values():
                works.close()
        for lane in self._lanes.values():
            lane.close()
