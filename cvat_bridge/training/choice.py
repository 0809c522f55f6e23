"""Which parts of a project a training by hand learns from, and which judge it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cvat_bridge.errors import ConfigError
from cvat_bridge.project.facts import Facts, LabelledJob

MOST_HELD_OUT = 0.9  # share of the frames


@dataclass(frozen=True)
class TrainingPart:
    """Tasks, jobs (by id) and subsets (by name) of a project; a job is of it by any of them."""

    tasks: tuple[int, ...] = ()
    jobs: tuple[int, ...] = ()
    subsets: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tasks or self.jobs or self.subsets)

    def holds(self, job: LabelledJob, facts: Facts) -> bool:
        """Whether the job is of this part."""
        return (
            job.job_id in self.jobs
            or job.task_id in self.tasks
            or facts.tasks[job.task_id].subset in self.subsets
        )


@dataclass(frozen=True)
class TrainingChoice:
    """What to learn from and what to test on.

    train: empty for all finished jobs. test: empty for a share. holdout_share: of the frames, in
    whole groups; None for what the loop itself holds out.
    """

    train: TrainingPart = TrainingPart()
    test: TrainingPart = TrainingPart()
    holdout_share: float | None = None


def chosen(facts: Facts, choice: TrainingChoice) -> Facts:
    """Return the facts with the chosen finished jobs alone, the test ones held out.

    A job that the project's own holdout rule holds out stays so. Raises ConfigError with every
    fault: parts that are not in the project or have no finished job, jobs in both parts, nothing
    left to learn from.
    """
    faults = [*_absent("train", choice.train, facts), *_absent("test", choice.test, facts)]
    if choice.test and choice.holdout_share is not None:
        faults.append("a test part and --holdout-share contradict each other; choose one of them")
    if choice.holdout_share is not None and not 0 <= choice.holdout_share <= MOST_HELD_OUT:
        faults.append(f"--holdout-share must lie in 0..{MOST_HELD_OUT}: {choice.holdout_share}")
    both: list[int | str] = [*sorted(set(choice.train.jobs) & set(choice.test.jobs))]
    both += sorted(set(choice.train.tasks) & set(choice.test.tasks))
    both += sorted(set(choice.train.subsets) & set(choice.test.subsets))
    if both:
        faults.append(f"both learnt from and tested on: {', '.join(map(str, both))}")
    jobs = _jobs(facts, choice)
    if not faults and not any(not job.held_out for job in jobs):
        equal = choice.test and all(choice.test.holds(job, facts) for job in jobs)
        faults.append(
            "the test part equals the train part, so nothing is left to learn from: choose other "
            "tasks, subsets or jobs to test on"
            if equal
            else "nothing is left to learn from: every chosen job is tested on, or held out by the "
            "project"
        )
    if faults:
        raise ConfigError(faults)
    rule = facts.holdout_rule
    if choice.test:
        rule = "subset"
    elif choice.holdout_share is not None:
        rule = "share" if choice.holdout_share > 0 else "none"
    return replace(facts, jobs=jobs, holdout_rule=rule)


def _jobs(facts: Facts, choice: TrainingChoice) -> tuple[LabelledJob, ...]:
    kept = []
    for job in facts.jobs:
        if choice.test.holds(job, facts):
            kept.append(replace(job, held_out=True))
        elif not choice.train or choice.train.holds(job, facts):
            kept.append(job)
    return tuple(kept)


def _absent(name: str, part: TrainingPart, facts: Facts) -> list[str]:
    project = facts.project.id
    finished = {job.job_id for job in facts.jobs}
    of_tasks = {job.task_id for job in facts.jobs}
    subsets = {task.subset for task in facts.tasks.values()}
    faults = [
        f"--{_option(name, 'subset')} {subset!r}: project {project} has no task of that subset; "
        f"there are {', '.join(sorted(map(repr, subsets))) or 'none'}"
        for subset in part.subsets
        if subset not in subsets
    ]
    for task in part.tasks:
        if task not in facts.tasks:
            faults.append(
                f"--{_option(name, 'task')} {task}: no such task in project {project}; "
                f"there are {_ids(facts.tasks)}"
            )
        elif task not in of_tasks:
            faults.append(f"--{_option(name, 'task')} {task}: it has no finished job")
    faults += [
        f"--{_option(name, 'job')} {job}: no such finished job in project {project}; "
        f"there are {_ids(finished)}"
        for job in part.jobs
        if job not in finished
    ]
    return faults


def _option(name: str, kind: str) -> str:
    return kind if name == "train" else f"test-{kind}"


def _ids(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"
