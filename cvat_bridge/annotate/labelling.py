"""Which label of a task each class of a model becomes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.annotate.messages import by_reason, join_names
from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import ConfigError, LabelMismatchError
from cvat_bridge.masks.interactors import NO_INTERACTOR, can_show
from cvat_bridge.shapes.detection_shapes import LEARNABLE_LABELS

LEFT_OUT = ""  # `--map class=` : objects of this class are not written


@dataclass(frozen=True)
class Labelling:
    """label_of: the task's label of each class id. left_out: class names without, and why."""

    label_of: Mapping[int, Label]
    left_out: Mapping[str, str]


def parse_map(given: Sequence[str]) -> dict[str, str]:
    """Read `class=label` pairs; `class=` leaves a class out. Raises ConfigError for other text."""
    found: dict[str, str] = {}
    faults = []
    for text in given:
        name, equals, label = text.partition("=")
        if not equals or not name.strip():
            faults.append(f"--map takes MODEL_CLASS=CVAT_LABEL (or MODEL_CLASS=), found {text!r}")
        elif name.strip() in found:
            faults.append(f"--map names the class {name.strip()!r} twice")
        else:
            found[name.strip()] = label.strip()
    if faults:
        raise ConfigError(faults)
    return found


def match(
    model: ChosenModel, labels: Sequence[Label], mapped: Mapping[str, str], *, known_only: bool
) -> Labelling:
    """Find the label of every class: as mapped, else by the id it was learnt from, else by name.

    known_only: a class without a label is left out instead of refused. Raises ConfigError for a
    mapping that names what is not there, LabelMismatchError, before anything is run, when a class
    has no label that can take its objects, or when no class has one.
    """
    classes = model.bundle.card.labels
    _check(mapped, classes.names, labels)
    by_id, by_name = {one.id: one for one in labels}, {one.name: one for one in labels}
    label_of: dict[int, Label] = {}
    left_out: dict[str, str] = {}
    missing: list[str] = []
    for class_id, name in enumerate(classes):
        if mapped.get(name) == LEFT_OUT or (name not in model.names and name not in mapped):
            left_out[name] = (
                "left out, as --map asks"
                if name in mapped
                else f"the function does not show it; give --map {name}=LABEL to have it written"
            )
            continue
        learnt = by_id.get(model.label_ids.get(name, -1))
        label = (
            by_name[mapped[name]] if name in mapped else learnt or by_name.get(model.names[name])
        )
        problem = _problem(label, model.bundle.card.task)
        if label is not None and not problem:
            label_of[class_id] = label
        else:
            left_out[name] = problem
            missing.append(name)
    if (missing and not known_only) or not label_of:
        whys = by_reason({name: left_out[name] for name in missing})
        reasons = "; ".join(f"{join_names(names)}: {why}" for why, names in whys.items())
        ways = ["--map CLASS=LABEL to use another label"]
        if not known_only:
            ways.append("--map CLASS= to leave a class out")
            if label_of:
                ways.append("--known-only to leave out all that CVAT does not have")
        raise LabelMismatchError(
            [label.name for label in labels],
            classes.names,
            f"{reasons or 'All are left out'}. Give {', or '.join(ways)}",
        )
    for name in missing:
        left_out[name] += f"; add one to the task or project, or give --map {name}=LABEL"
    return Labelling(label_of, left_out)


def _problem(label: Label | None, task: str) -> str:
    """Return why a label cannot take what a model for `task` finds; "" when it can."""
    if label is None:
        return "CVAT has no such label"
    if label.type not in LEARNABLE_LABELS:
        return f"label {label.name!r} is of type {label.type}, which takes no detections"
    if not can_show(task, label.type):
        return f"label {label.name!r} is of type {label.type}; {NO_INTERACTOR}"
    return ""


def _check(mapped: Mapping[str, str], classes: Sequence[str], labels: Sequence[Label]) -> None:
    there = [label.name for label in labels]
    faults = [
        f"--map {name}=…: the model has no such class; it has {', '.join(classes)}"
        for name in mapped
        if name not in classes
    ]
    faults += [
        f"--map {name}={label}: CVAT has no such label there; it has {', '.join(there) or 'none'}"
        for name, label in mapped.items()
        if label != LEFT_OUT and label not in there
    ]
    if faults:
        raise ConfigError(faults)
