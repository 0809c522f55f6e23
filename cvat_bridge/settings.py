"""The settings that the steps of a round read: plain values, checked when they are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated, Literal, get_origin, get_type_hints

from typing_extensions import Self

from active_learning.choose import SelectionSettings
from cvat_bridge.config import Config, HoldoutSection, RoundSection, SelectionSection
from cvat_bridge.cvat.gateway import Stage
from cvat_bridge.errors import ConfigError

Mode = Literal["new_task", "rank_existing"]
JobList = Literal["newest_first", "oldest_first"]
UNCALIBRATED = 0.4  # shown from here where nothing is known of what a model's scores mean
STAGES: tuple[Stage, ...] = ("annotation", "validation", "acceptance")


def _is_key(hint: object) -> bool:
    return get_origin(hint) is Annotated


@dataclass(frozen=True)
class RoundSettings:
    """How a round works. A field that is a key of the configuration is annotated with that key.

    finished_stage: a job counts as finished when it is completed at this stage or a later one.
    holdout_share: share of the labelled frames that is frozen for evaluation, when neither a
        ground-truth job nor a task of a holdout subset gives the holdout; 0 for none.
    holdout_subsets: tasks of these CVAT subsets are holdout as a whole.
    holdout_salt: changes which groups the share falls on.
    duplicate_distance: two images whose 256-bit difference hashes differ in at most this many
        bits are near-duplicates and stay on one side of the holdout.
    video_segment: frames of a video in one group; 0 makes the whole video one group.
    budget: frames a round takes. seed: of the choice. selection: how they are chosen.
    mode: "new_task" copies the chosen frames into one new task, "rank_existing" orders the
        unopened jobs there are. rank_by: how a job's frames make the job's worth.
    job_size: frames of a job of the new task. job_list: how people read CVAT's list of jobs: what
        they see first is worth most. assignees: user ids or names, taken in turn;
        none assigns nobody. task_subset: CVAT subset of the new task.
    mark_source_deleted: hide chosen frames in their source task.
    write_guide: keep a section with the ranked jobs in the project's annotation guide.
    candidate_score: lowest score kept for choosing. batch_size: images a prediction takes.
    max_candidates: objects kept a frame. min_score: lowest score of a pre-annotation, None for
        where a look is expected to be quicker than drawing (see cvat_bridge.thresholds);
    min_scores: a fixed score by label name.
    nudge_iou: a changed shape that overlaps its proposal at least this much was nudged, below
        it was drawn anew.
    Raises ConfigError with every fault.
    """

    finished_stage: Annotated[Stage, "rounds.finished_stage"] = RoundSection.finished_stage
    holdout_share: Annotated[float, "holdout.share"] = HoldoutSection.share
    holdout_subsets: Annotated[tuple[str, ...], "holdout.subsets"] = HoldoutSection.subsets
    holdout_salt: Annotated[str, "holdout.salt"] = HoldoutSection.salt
    duplicate_distance: Annotated[int, "holdout.duplicate_distance"] = (
        HoldoutSection.duplicate_distance
    )
    video_segment: int = 300
    budget: Annotated[int, "active_learning.budget"] = SelectionSection.budget
    seed: Annotated[int, "active_learning.seed"] = SelectionSection.seed
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    mode: Annotated[Mode, "rounds.mode"] = RoundSection.mode
    rank_by: Literal["mean", "max"] = "mean"
    job_size: Annotated[int, "rounds.job_size"] = RoundSection.job_size
    job_list: Annotated[JobList, "rounds.job_list"] = RoundSection.job_list
    task_subset: Annotated[str, "rounds.subset"] = RoundSection.subset
    assignees: Annotated[tuple[int | str, ...], "rounds.assignees"] = RoundSection.assignees
    mark_source_deleted: Annotated[bool, "rounds.mark_source_deleted"] = (
        RoundSection.mark_source_deleted
    )
    write_guide: Annotated[bool, "rounds.guide"] = RoundSection.guide
    candidate_score: Annotated[float, "active_learning.candidate_score"] = (
        SelectionSection.candidate_score
    )
    batch_size: int = 16
    max_candidates: int = 300
    min_score: float | None = None
    min_scores: Mapping[str, float] = field(default_factory=dict)
    nudge_iou: float = 0.5

    def __post_init__(self) -> None:
        faults = [
            f"{name} must lie in 0..1, found {value}"
            for name, value in (
                ("candidate_score", self.candidate_score),
                ("min_score", self.min_score),
                ("nudge_iou", self.nudge_iou),
                *((f"min_scores[{label}]", score) for label, score in self.min_scores.items()),
            )
            if value is not None and not 0 <= value <= 1
        ]
        if not 0 <= self.holdout_share <= 0.9:
            faults.append(f"holdout_share must lie in 0..0.9, found {self.holdout_share}")
        faults += [
            f"{name} must be at least {least}, found {value}"
            for name, value, least in (
                ("budget", self.budget, 1),
                ("job_size", self.job_size, 1),
                ("batch_size", self.batch_size, 1),
                ("max_candidates", self.max_candidates, 1),
                ("duplicate_distance", self.duplicate_distance, 0),
                ("video_segment", self.video_segment, 0),
            )
            if value < least
        ]
        if self.task_subset and self.task_subset in self.holdout_subsets:
            faults.append(
                f"task_subset {self.task_subset!r} is a holdout subset: nothing chosen would train"
            )
        if self.finished_stage not in STAGES:
            faults.append(f"finished_stage must be one of {', '.join(STAGES)}")
        if self.mode not in ("new_task", "rank_existing"):
            faults.append(f"mode must be new_task or rank_existing, found {self.mode!r}")
        if self.job_list not in ("newest_first", "oldest_first"):
            faults.append(f"job_list must be newest_first or oldest_first, found {self.job_list!r}")
        if self.rank_by not in ("mean", "max"):
            faults.append(f"rank_by must be mean or max, found {self.rank_by!r}")
        if faults:
            raise ConfigError(faults)

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the settings of a project's configuration; ConfigError with every fault."""
        hints = get_type_hints(cls, include_extras=True)
        keys = {name: hint.__metadata__[0] for name, hint in hints.items() if _is_key(hint)}
        shown = config.pre_annotation
        return cls(
            **{name: attrgetter(key)(config) for name, key in keys.items()},
            selection=config.active_learning,
            min_score=None if shown.min_score == "auto" else shown.min_score,
            min_scores=shown.min_scores,
        )

    def threshold(self, label: str) -> float:
        """Return the lowest score at which an object of this label is pre-annotated."""
        return self.min_scores.get(
            label, UNCALIBRATED if self.min_score is None else self.min_score
        )
