"""The screen *Run a model*: which model looks at which frames, and from what score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.annotate.labelling import LEFT_OUT, parse_map
from cvat_bridge.annotate.looking.look import LOWEST, Target
from cvat_bridge.annotate.looking.looker import Pointed
from cvat_bridge.annotate.plan import AnnotationPlan, make_plan
from cvat_bridge.cvat.gateway import Label, Task
from cvat_bridge.errors import BridgeError, ConfigError, LabelMismatchError, NotReadyError
from cvat_bridge.web.long_work.desk import Desk
from cvat_bridge.web.long_work.kinds.annotating import AskedRun
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import RefusedError
from cvat_bridge.web.screens.learning.offered import (
    OfferedModel,
    chosen_reference,
    offered_models,
    task_of_project,
)
from cvat_bridge.web.sites import Site
from serverless.errors import FunctionError
from trainer.errors import TrainerError

COUNT = 6  # frames on a screen
_LEAST, _MOST = 0.01, 1.0  # threshold of a run
_FIRST = 8  # class names that a sentence lists


@dataclass(frozen=True)
class ClassRow:
    """A class of the model. label: what its objects become in CVAT, "" where they are left out.

    why: for what reason. chosen: what a person chose, None where nobody did.
    """

    name: str
    label: str
    why: str
    chosen: str | None


@dataclass(frozen=True)
class RunScreen:
    """What the screen shows. problem: why there is nothing to look at, "" where there is.

    frames: numbers of the frames shown, of `total` that may be annotated; first: place of the first
    of them. threshold: from which score objects are shown at first.
    """

    offered: tuple[OfferedModel, ...]
    tasks: tuple[Task, ...]
    pointed: Pointed
    threshold: float
    frames: tuple[int, ...]
    first: int
    total: int
    classes: tuple[ClassRow, ...]
    labels: tuple[Label, ...]
    left_alone: Mapping[int, str]
    problem: str
    works: tuple[Work, ...]

    @property
    def task(self) -> Task | None:
        """The task that is looked at."""
        return next((one for one in self.tasks if one.id == self.pointed.task_id), None)


def run_screen(
    site: Site,
    desk: Desk,
    *,
    model: str,
    task_id: int,
    start: int,
    threshold: float | None,
    mapped: Sequence[str],
) -> RunScreen:
    """Put the screen together. Raises GatewayError, RefusedError for what is not of the project."""
    offered = offered_models(site)
    tasks = tuple(t for t in site.parts.gateway.tasks(site.id) if t.size and t.dimension == "2d")
    reference = chosen_reference(offered, model)
    if task_id and all(task_id != one.id for one in tasks):
        task_of_project(site, task_id)
    pointed = Pointed(reference, task_id or (tasks[-1].id if tasks else 0), mapping(mapped))
    found: Target | None = None
    problem, classes, labels, least = "", tuple[ClassRow, ...](), tuple[Label, ...](), 0.5
    if not offered:
        problem = "There is no model yet. Train one, or bring one under Models."
    elif not pointed.task_id:
        problem = "The project has no task with images. Add one in CVAT."
    else:
        try:
            found = desk.looker.target(pointed)
            if not found.frames():
                told = "; ".join(f"job {job}: {why}" for job, why in found.left_alone.items())
                problem = f"No job of this task may be annotated by a model ({told})."
        except (LabelMismatchError, ConfigError, NotReadyError) as error:
            problem = said(error)
        except (BridgeError, TrainerError, FunctionError) as error:
            problem = f"This model cannot look: {error}."
        classes, labels, least = _classes(site, desk, pointed, found)
    frames = found.frames() if found is not None and not problem else ()
    first = max(0, min(start, len(frames) - 1)) if frames else 0
    return RunScreen(
        offered=offered,
        tasks=tasks,
        pointed=pointed,
        threshold=least if threshold is None else min(max(threshold, LOWEST), 0.99),
        frames=frames[first : first + COUNT],
        first=first,
        total=len(frames),
        classes=classes,
        labels=labels,
        left_alone=found.left_alone if found is not None else {},
        problem=problem,
        works=desk.works["annotate"].all()[:10],
    )


def mapping(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read "class=label" of a form; an empty text is no choice. Raises RefusedError."""
    try:
        return tuple(sorted(parse_map([text for text in given if text]).items()))
    except ConfigError as error:
        raise RefusedError(
            422, f"The classes cannot be read: {'; '.join(error.faults)}."
        ) from error


def said(error: Exception) -> str:
    """Return why no class meets a label, or what else cannot be done, without a command's words."""
    if isinstance(error, LabelMismatchError):
        return (
            f"No class of this model has a label in the task that can take its objects. The model "
            f"has {_few(error.model)}; the task has {_few(error.project)}. Choose the label of "
            "each class under “Classes and labels”."
        )
    if isinstance(error, ConfigError):
        return "; ".join(fault.replace("--map ", "the class ") for fault in error.faults) + "."
    return f"{error}."


def check_threshold(value: float) -> float:
    """Return a score from which a run may write; RefusedError for 0 and what is no score."""
    if _LEAST <= value <= _MOST:
        return value
    raise RefusedError(
        422,
        f"A threshold lies between {_LEAST} and {_MOST:g}; this one is {value:g}. At 0 every guess "
        "of the model would be written, thousands on a frame.",
        "Move the slider up and try again. Nothing was done.",
    )


def plan_run(site: Site, desk: Desk, asked: AskedRun) -> AnnotationPlan:
    """Return what a run would do; writes nothing. Raises GatewayError, RefusedError."""
    parts = site.parts
    check_threshold(asked.min_score)
    chosen_reference(offered_models(site), asked.model)
    if asked.task_id is not None:
        task_of_project(site, asked.task_id)
    try:
        wanted = asked.request(site.id)
        return make_plan(parts.gateway, parts.ledger, desk.looker.choose(asked.model), wanted)
    except (LabelMismatchError, ConfigError, NotReadyError) as error:
        raise RefusedError(422, f"Nothing was done. {said(error)}") from error


def _classes(
    site: Site, desk: Desk, pointed: Pointed, found: Target | None
) -> tuple[tuple[ClassRow, ...], tuple[Label, ...], float]:
    """Return what each class becomes, the labels to choose from, and the model's own threshold."""
    try:
        chosen = desk.looker.choose(pointed.model)
    except (BridgeError, TrainerError, FunctionError):  # told as the problem already
        return (), (), 0.5
    mapped = dict(pointed.mapped)
    names = chosen.bundle.card.labels.names
    label_of = found.plan.labelling.label_of if found is not None else {}
    left_out = found.plan.labelling.left_out if found is not None else {}
    rows = tuple(
        ClassRow(
            name,
            label_of[number].name if number in label_of else "",
            "as chosen"
            if mapped.get(name) == LEFT_OUT
            else left_out.get(name, "").partition(";")[0],
            mapped.get(name),
        )
        for number, name in enumerate(names)
    )
    labels = site.parts.gateway.labels(task_id=pointed.task_id)
    return rows, labels, max(LOWEST, min(chosen.least(None).values(), default=0.5))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
    return (", ".join(names[:_FIRST]) or "none") + more
