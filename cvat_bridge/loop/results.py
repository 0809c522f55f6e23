"""What each step of a round leaves for the steps after it, and for the record of the round.

DBOS keeps the results as JSON. One of an earlier version is read as well: what it did not know has
its default, and what is no longer known is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from typing_extensions import Self

from cvat_bridge.loop.trust.levels import ModelTrust

Json = Mapping[str, Any]
UNTRUSTED = ModelTrust("none", None)


@dataclass(frozen=True)
class Result:
    """What a step leaves."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @property
    def recorded(self) -> Json:
        """What the record of the round keeps of it, for `status` and reports."""
        return self.to_json()

    @classmethod
    def of(cls, values: Json) -> Self:
        """Read what to_json wrote, in this version or an earlier one."""
        return cls(**_own(cls, values))


@dataclass(frozen=True)
class FactsResult(Result):
    """1. pool: free frames. corrected: what people did to the pre-annotations so far."""

    pool: int = 0
    labelled_frames: int = 0
    new_frames: int = 0
    holdout_rule: str = ""
    notes: tuple[str, ...] = ()
    corrected: Json = field(default_factory=dict)


@dataclass(frozen=True)
class PullResult(Result):
    """2. dataset: the snapshot's folder, None where nothing is finished, and why (reason)."""

    dataset: str | None = None
    fingerprint: str = ""
    train: int = 0
    holdout: int = 0
    fetched: int = 0
    skipped: tuple[Json, ...] = ()
    reason: str = ""

    @property
    def recorded(self) -> Json:
        """Nothing where nothing was pulled."""
        return {k: v for k, v in self.to_json().items() if k != "reason"} if self.dataset else {}


@dataclass(frozen=True)
class FitResult(Result):
    """3. bundle, version: of the challenger, None and "" where none was learnt, and why (reason).

    began: where the fit began.
    """

    bundle: str | None = None
    version: str = ""
    reason: str = ""
    began: Json | None = None

    @property
    def recorded(self) -> Json:
        """Where the fit began."""
        return {"began": self.began} if self.began else {}


@dataclass(frozen=True)
class DecideResult(Result):
    """4. promoted, reasons: of the challenger. serves: version of the bundle, or None.

    trust: in what serves, or informs. explanation, for_annotators: of that, for people.
    interactor: what the project's own one learnt. figures: of champion and challenger, by name.
    """

    promoted: bool = False
    reasons: tuple[str, ...] = ()
    serves: str | None = None
    trust: ModelTrust = UNTRUSTED
    explanation: tuple[str, ...] = ()
    for_annotators: str = ""
    interactor: Json | None = None
    figures: Json = field(default_factory=dict)

    @property
    def class_ap(self) -> Mapping[str, float | None]:
        """AP of what serves from now on, by class; empty where it was not judged."""
        return self.figures.get("class_ap") or {}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the figures among the others."""
        values = super().to_json()
        figures = values.pop("figures")
        return {**values, "trust": self.trust.to_json(), **figures}

    @classmethod
    def of(cls, values: Json) -> Self:
        """Read what to_json wrote; an earlier version knew two levels of trust."""
        names = {f.name for f in fields(cls)}
        rest = {k: v for k, v in values.items() if k not in {*names, "seconds"}}
        own = {**_own(cls, values), "trust": ModelTrust.of_answer(values), "figures": rest}
        return cls(**own)


@dataclass(frozen=True)
class PredictResult(Result):
    """5. model: that read the pool, or the name of the embeddings. broken: frames and why."""

    model: str = ""
    predicted: int = 0
    cached: int = 0
    broken: Mapping[str, str] = field(default_factory=dict)
    embeddings: str = ""


@dataclass(frozen=True)
class SelectResult(Result):
    """6. selected: how many frames, and why none (reason). The others: see choosing.Chosen."""

    selected: int = 0
    reason: str = ""
    strategy: str = ""
    phase: str = ""
    advice: str = ""
    duplicates: int = 0


@dataclass(frozen=True)
class PrioritiseResult(Result):
    """7. task_id: the round's task, or None. jobs: id, task_id, frames, scores, reason of each."""

    task_id: int | None = None
    storage: str = "none"
    jobs: tuple[Json, ...] = ()


@dataclass(frozen=True)
class PreannotateResult(Result):
    """8. proposed: objects by label. assigned: whose each job is, by its id.

    left_alone: jobs and why. unmatched, without_mask, unread: see preannotate.PreAnnotated.
    shown_from: the scores from which objects were proposed, None where none were. job_notes: what
    to look at in each job and how long it takes, by its id; see guide.looking.JobNote. controls:
    jobs that went out without pre-annotation on purpose; see savings.controls.
    """

    proposed: Mapping[str, int] = field(default_factory=dict)
    left_alone: Mapping[str, str] = field(default_factory=dict)
    unmatched: Mapping[str, str] = field(default_factory=dict)
    without_mask: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    assigned: Mapping[str, str] = field(default_factory=dict)
    shown_from: Json | None = None
    job_notes: Mapping[str, Json] = field(default_factory=dict)
    controls: tuple[int, ...] = ()


@dataclass(frozen=True)
class Results:
    """The results of the steps so far; of a step that is still to come, its defaults."""

    facts: FactsResult = FactsResult()
    pull: PullResult = PullResult()
    fit: FitResult = FitResult()
    decide: DecideResult = DecideResult()
    predict: PredictResult = PredictResult()
    select: SelectResult = SelectResult()
    prioritise: PrioritiseResult = PrioritiseResult()
    preannotate: PreannotateResult = PreannotateResult()

    @classmethod
    def of(cls, answers: Mapping[str, Json]) -> Results:
        """Read the answers that DBOS kept, by the name of the step."""
        kinds: dict[str, type[Result]] = {
            f.name: type(cast("Result", f.default)) for f in fields(cls) if f.name in answers
        }
        known: dict[str, Any] = {name: kind.of(answers[name]) for name, kind in kinds.items()}
        return cls(**known)


def _own(kind: type[Result], values: Json) -> dict[str, Any]:
    """Return the values of a result's own fields; JSON has lists for tuples."""
    known = {f.name: values[f.name] for f in fields(kind) if f.name in values}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
