"""A model over whole tasks, as `cvat-bridge annotate` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvat_bridge.annotate.looking.looker import Looker
from cvat_bridge.annotate.messages import not_written
from cvat_bridge.annotate.plan import make_plan
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.annotate.run import annotate
from cvat_bridge.annotate.summary import AnnotationSummary
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.long_work.works import Do, Ended, Handle
from cvat_bridge.web.sites import Site


@dataclass(frozen=True)
class AskedRun:
    """What a person asks for. task_id: None for all tasks of the project. mapped: class → label."""

    model: str
    task_id: int | None
    min_score: float
    only_empty: bool = False
    mapped: Mapping[str, str] | None = None

    def request(self, project_id: int) -> AnnotationRequest:
        """Return it as `annotate` takes it. Raises ConfigError."""
        return AnnotationRequest(
            task_id=self.task_id,
            project_id=project_id if self.task_id is None else None,
            min_score=self.min_score,
            only_empty=self.only_empty,
            mapped=self.mapped or {},
            known_only=True,
        )


def annotating(site: Site, looker: Looker) -> Do:
    """Return what does it."""

    def do(work: Work, handle: Handle) -> Ended:
        asked = AskedRun(**work.request)
        parts = site.parts
        handle.report("read the jobs in CVAT", 0, 0)
        chosen = looker.choose(asked.model)
        plan = make_plan(parts.gateway, parts.ledger, chosen, asked.request(site.id))
        handle.report("load the model", 0, 0)
        ended = annotate(
            parts.gateway,
            parts.ledger,
            plan,
            looker.runner(chosen),
            locks=parts.home.root / "annotating",
            report=lambda _stage, done, total: handle.report("frames", done, total),
            stop=handle.halt,
        )
        return Ended(_told(work.made, ended), stopped=ended.stopped)

    return do


def _told(before: Mapping[str, Any], ended: AnnotationSummary) -> dict[str, Any]:
    """Sum up this attempt and the earlier ones, as JSON values."""
    labels = dict(before.get("by_label") or {})
    for name, count in ended.by_label.items():
        labels[name] = labels.get(name, 0) + count
    return {
        "frames": before.get("frames", 0) + ended.frames,
        "objects": before.get("objects", 0) + ended.objects,
        "by_label": labels,
        "stood": before.get("stood", 0) + ended.doubled.total(),
        "left_alone": {str(job): why for job, why in ended.left_alone.items()},
        "left_out": [
            f"task {one.task_id}, frame {one.frame} ({one.name}): {one.problem}"
            for one in ended.left_out
        ],
        "not_written": not_written(ended.unmatched, ended.unwritten),
    }
