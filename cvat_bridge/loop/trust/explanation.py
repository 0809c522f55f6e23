"""Why no model serves yet and what would change it, in words for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from active_learning.stopping import fit_curve
from cvat_bridge.loop.trust.evidence import ObjectSize
from cvat_bridge.loop.trust.levels import ModelTrust
from trainer.gate.gate_settings import GateSettings
from trainer.gate.usefulness import Usefulness

SMALL = 32  # pixels: COCO calls an object small up to 32 x 32
FAIR_START = 20  # examples of a class
NEXT_LABELS = 100
_NAMED = 3  # classes that are named; more are counted
_MULTIPLE = 32  # of the network's sides
_LOOK_CLOSELY = (
    "What is drawn in advance comes from a model that has not proved itself yet: look at each "
    "object closely."
)
_STRONGER = ("yolo", "torchvision_detection")


@dataclass(frozen=True)
class Situation:
    """What is known when the model does not serve.

    trust: after the decision. reason: why nothing was learnt or judged, "" when something was.
    found: of the challenger, None when it was not judged. size: None where unknown. examples:
    labelled objects a class. curve: (labelled frames, AP50) a round, oldest first. backend,
    device: of the trainer. gpu: whether this machine has one. random_share: of a weak model's
    batch.
    """

    trust: ModelTrust
    settings: GateSettings
    reason: str = ""
    found: Usefulness | None = None
    size: ObjectSize | None = None
    examples: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()
    backend: str = ""
    device: str = "cpu"
    gpu: bool = False
    random_share: float = 0.4


def explain(now: Situation) -> tuple[str, ...]:
    """Return why the model does not serve, or not for all classes, and what would change it.

    Sentences for an engineer or a manager, the cause first; empty where a model serves and
    withholds nothing.
    """
    if now.trust.level == "serves":
        return (*_unproven(now), *_withheld(now.trust))
    causes = [_cause(now)]
    if now.trust.level == "informs":
        causes.append(
            "It already helps to choose frames, with more of them at random "
            f"({now.random_share:.0%}); nothing is pre-annotated."
        )
    return (*causes, *_size(now), *_few(now), *_outlook(now), *_stronger(now))


def explain_to_annotators(now: Situation, *, pre_annotation: bool = True) -> str:
    """Say the same in a few words for the people who draw; "" where there is nothing to say.

    pre_annotation: whether models pre-annotate at all.
    """
    if not pre_annotation:
        return ""
    if now.trust.level == "serves":
        text = "" if now.trust.proven else _LOOK_CLOSELY
        names = _listed([repr(name) for name in now.trust.withheld])
        if names:
            text += f" The model does not know {names} well enough yet: please draw these yourself."
        return text.strip()
    text = "Nothing is drawn in advance yet: the model still learns from the jobs you finish."
    rare = _rare(now)
    if rare:
        text = f"{text} It has seen few examples of {_listed([repr(name) for name, _ in rare])}."
    return text


def _unproven(now: Situation) -> tuple[str, ...]:
    if now.trust.proven:
        return ()
    whole = now.found.whole if now.found else None
    if whole is None or whole.ap50 is None:
        known = "no holdout has shown yet that it is good"
    else:
        known = f"it has AP50 {whole.ap50:.2f}, {now.settings.useful_ap50:.2f} would be useful"
    more = f"{now.random_share:.0%} of the next frames are drawn at random"
    return (f"The model serves because a person promoted it: {known}. Until then, {more}.",)


def _withheld(trust: ModelTrust) -> tuple[str, ...]:
    held = list(trust.withheld.items())
    lines = [
        f"The model serves, but does not pre-annotate {name!r}: {why}."
        for name, why in held[:_NAMED]
    ]
    if len(held) > _NAMED:
        lines.append(f"Nor does it pre-annotate {len(held) - _NAMED} other classes, for the like.")
    return tuple(lines)


def _cause(now: Situation) -> str:
    if now.found is None or now.found.whole.ap50 is None:
        reason = now.reason or "the holdout shows no object to judge it by"
        return f"No model serves yet: {reason.rstrip('.')}."
    whole, settings = now.found.whole, now.settings
    known = f"AP50 {whole.ap50:.2f} on {now.found.frames} holdout frames"
    if now.reason:  # something else than the figure stood against it
        return f"The model does not serve yet: {now.reason.rstrip('.')}. It has {known}."
    if settings.min_first_metric is not None:
        asked = f"{settings.metric.upper()} {settings.min_first_metric:.2f} is asked"
        asked += " (promotion.min_first_metric)"
        return f"The model does not serve yet: {known}; {asked}."
    if whole.objects < settings.useful_objects:
        return (
            f"The model does not serve yet: {whole.objects} objects in the holdout are too few to "
            f"judge it, {settings.useful_objects} are needed. Label more frames."
        )
    if whole.ap50 is None or whole.ap50 < settings.useful_ap50:
        return f"The model does not serve yet: {known}, {settings.useful_ap50:.2f} is needed."
    return (
        f"The model does not serve yet: {known}, which may be luck (its lower end is "
        f"{whole.low:.2f}, {settings.useful_low:.2f} is needed). More holdout frames would tell."
    )


def _size(now: Situation) -> tuple[str, ...]:
    """Advise a larger input where objects are small in it and the images hold more."""
    if now.size is None or now.size.side >= SMALL:
        return ()
    height, width = now.size.input_size
    text = f"Objects are {now.size.side:.0f} px wide at the model's input of {height} x {width}"
    growth = min(SMALL / max(now.size.side, 1), now.size.most)
    larger = [_MULTIPLE * math.ceil(side * growth / _MULTIPLE) for side in (height, width)]
    if growth <= 1 or larger == [height, width]:
        return (f"{text}, which shows the images in full already: small objects need more labels.",)
    return (f"{text}: a larger input would help (trainer.image_size: {larger}).",)


def _few(now: Situation) -> tuple[str, ...]:
    rare = _rare(now)
    if not rare:
        return ()
    text = _listed([f"{name!r} has {count}" for name, count in rare[:_NAMED]])
    more = len(rare) - _NAMED
    others = f" ({more} other classes have too few as well)" if more > 0 else ""
    noun = "example" if len(rare) == 1 and rare[0][1] == 1 else "examples"
    return (f"{text} labelled {noun}{others}; {FAIR_START} are a fair start.",)


def _rare(now: Situation) -> list[tuple[str, int]]:
    """Return the classes with few examples, the rarest first."""
    return sorted(
        ((name, count) for name, count in now.examples.items() if count < FAIR_START),
        key=lambda row: (row[1], row[0]),
    )


def _outlook(now: Situation) -> tuple[str, ...]:
    """Read the learning curve on; it says nothing before three rounds."""
    fitted = fit_curve(now.curve)
    if fitted is None:
        return ()
    labelled = max(count for count, _ in now.curve)
    expected = min(1.0, max(0.0, fitted.at(labelled + NEXT_LABELS)))
    text = (
        f"Expected AP50 after the next {NEXT_LABELS} labels: {expected:.2f} "
        f"(from the curve over {len(now.curve)} rounds)."
    )
    if fitted.ceiling < now.settings.useful_ap50:
        text += (
            f" The curve levels off near {fitted.ceiling:.2f}: more labels alone will not do, "
            "another input size or backend may."
        )
    return (text,)


def _stronger(now: Situation) -> tuple[str, ...]:
    if not now.gpu or (now.backend in _STRONGER and now.device != "cpu"):
        return ()
    unused = " that is not used" if now.device == "cpu" else ""
    advice = f"trainer.backend: {' or '.join(_STRONGER)}, trainer.device: 0"
    text = f"This machine has a GPU{unused}: a stronger network is within reach ({advice})."
    return (text,)


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
