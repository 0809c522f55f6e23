"""The steps of trust, from what the holdout says of a model and of its classes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cvat_bridge.ledger.records import Decision
from trainer.gate.gate_settings import GateSettings
from trainer.gate.usefulness import Usefulness, UsefulnessScore

Level = Literal["none", "informs", "serves"]


@dataclass(frozen=True)
class ModelTrust:
    """How far the project's model is trusted.

    level: "serves" pre-annotates and chooses frames; "informs" only chooses frames, with more at
    random; "none" does neither. model: version of the bundle that reads the pool, None at "none".
    withheld: classes that are not pre-annotated → why, for people. proven: whether a holdout has
    shown that what serves is good; False for one that a person promoted past the gate.
    """

    level: Level
    model: str | None
    withheld: Mapping[str, str] = field(default_factory=dict)
    proven: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; proven stands there where it is False."""
        return {k: v for k, v in asdict(self).items() if k != "proven" or not v}

    @classmethod
    def of_answer(cls, decided: Mapping[str, Any]) -> ModelTrust:
        """Read the answer of the step `decide`; one of an earlier version knew two levels."""
        if "trust" in decided:
            return cls(**decided["trust"])
        serves = decided["serves"]
        return cls("serves" if serves else "none", serves)


def trust_of(
    champion: str | None,
    judged: tuple[str, Usefulness] | None,
    settings: GateSettings,
    *,
    by_class: bool,
    gated: bool = True,
) -> ModelTrust:
    """Return how far the model is trusted.

    champion: version of the bundle that serves, or None. judged: the bundle that was last judged
    and what was found, or None. by_class: whether weak classes are withheld. gated: whether a
    round, and not a person, promoted the champion.
    """
    if champion is not None:
        known = judged[1] if judged is not None and judged[0] == champion else None
        held = withheld(known, settings) if known is not None and by_class else {}
        useful = known is not None and (
            known.whole.use(settings) == "useful" or bool(known.useful_classes(settings))
        )
        return ModelTrust("serves", champion, held, proven=gated or useful)
    if judged is not None and informs(judged[1], settings):
        return ModelTrust("informs", judged[0])
    return ModelTrust("none", None)


def informs(found: Usefulness, settings: GateSettings) -> bool:
    """Return whether a model that does not serve may choose frames.

    Surely finding a little (the lower bound of AP50, which chance answers do not reach), or one
    class well, means that its scores carry information; more frames at random bound the loss.
    """
    return found.whole.low >= settings.informs_low or bool(found.useful_classes(settings))


def withheld(found: Usefulness, settings: GateSettings) -> dict[str, str]:
    """Return the classes that a serving model does not pre-annotate, and why.

    Weak ones; and where the model is of use for some classes alone, all but those. A floor that
    the team set by itself (min_first_metric) is about the model as a whole.
    """
    as_a_whole = found.whole.use(settings) == "useful" or settings.min_first_metric is not None
    held = {}
    for name, one in found.classes.items():
        use = one.use(settings)
        if use == "weak" or (use == "unsure" and not as_a_whole):
            held[name] = _why(one, settings)
    return held


def last_judged(
    decisions: Sequence[Decision], champion: str | None
) -> tuple[str, Usefulness] | None:
    """Return the newest evaluation of the champion, or, while none serves, of the last challenger.

    Decisions are oldest first; those of earlier versions of this program hold no such judgement.
    """
    for row in reversed(decisions):
        found = row.figures.get("usefulness")
        if found and (champion is None or found["model"] == champion):
            return str(found["model"]), Usefulness.from_json(found)
        if champion is None and row.challenger:
            return None  # the last challenger could not be judged; an older one does not count
    return None


def was_gated(decisions: Sequence[Decision], version: str | None) -> bool:
    """Return whether a round promoted this version, so that it passed the gate."""
    return any(row.promoted and row.challenger == version for row in decisions)


def _why(found: UsefulnessScore, settings: GateSettings) -> str:
    if found.objects < settings.useful_objects:
        return (
            f"the holdout has {found.objects} objects of it, {settings.useful_objects} are needed "
            "to judge"
        )
    known = f"AP50 is {found.ap50 or 0:.2f} on {found.objects} holdout objects"
    if (found.ap50 or 0) < settings.useful_ap50:
        return f"{known}, {settings.useful_ap50:.2f} is needed"
    return f"{known}, but may be as low as {found.low:.2f}; {settings.useful_low:.2f} is needed"
