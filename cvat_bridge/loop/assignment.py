"""Ranked jobs reach people: assignees in turn, and a section of the project's guide."""

from __future__ import annotations

from collections.abc import Sequence

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import ConfigError
from cvat_bridge.ledger.records import RankedJob
from cvat_bridge.settings import RoundSettings

BEGIN = "<!-- ranked jobs: begin (this part is written anew each round) -->"
END = "<!-- ranked jobs: end -->"


def assign(
    gateway: Gateway, jobs: Sequence[RankedJob], *, settings: RoundSettings
) -> dict[int, str]:
    """Give the jobs to the assignees in turn, best first; return the user name by job id.

    For after pre-annotation. Jobs that have an assignee keep theirs. Raises ConfigError for a
    name that CVAT does not know.
    """
    if not settings.assignees:
        return {}
    people = _ids(gateway, settings.assignees)
    given: dict[int, str] = {}
    for place, row in enumerate(jobs):
        job = gateway.job(row.job_id)
        if job.assignee is None and job.state == "new":
            job = gateway.update_job(row.job_id, assignee=people[place % len(people)])
        if job.assignee is not None:
            given[row.job_id] = job.assignee.username
    return given


def check_assignees(gateway: Gateway, *, settings: RoundSettings, organization: str | None) -> None:
    """Say before a round what `assign` would meet after it. Raises ConfigError.

    Outside an organization CVAT lets only administrators give a job to somebody else (403).
    """
    if not settings.assignees:
        return
    identity, people = gateway.identity(), _ids(gateway, settings.assignees)
    if organization is None and not identity.is_admin and set(people) != {identity.user.id}:
        fault = (
            f"assignees: outside an organization CVAT lets {identity.user.username} give jobs to "
            "nobody else. Move the project into an organization and set cvat.organization, use "
            "an administrator's token, or leave rounds.assignees empty"
        )
        raise ConfigError([fault])


def write_guide(
    gateway: Gateway, project_id: int, jobs: Sequence[RankedJob], *, number: int, told: str = ""
) -> None:
    """Put the ranked jobs into our section of the project's guide; the rest stays as it is.

    told: what people should know of the model, "" for nothing.
    """
    held = gateway.guide(project_id)
    wanted = with_section(held, section(jobs, number=number, told=told))
    if wanted != held:
        gateway.set_guide(project_id, wanted)


def section(jobs: Sequence[RankedJob], *, number: int, told: str = "") -> str:
    """Write the ranked jobs as a table in Markdown, between our marks."""
    rows = [
        f"| {job.rank} | [job {job.job_id}](/tasks/{job.task_id}/jobs/{job.job_id}) "
        f"| {len(job.frames)} | {job.reason.replace('|', '/')} |"
        for job in jobs
    ]
    head = [f"## Jobs of round {number}, the most valuable first", ""]
    head += [told, ""] if told else []
    table = ["| rank | job | frames | why |", "|---|---|---|---|"]
    return "\n".join([BEGIN, *head, *table, *rows, END])


def with_section(guide: str, text: str) -> str:
    """Replace our section of a guide, or add it at the end; people's text is kept as it is."""
    start, stop = guide.find(BEGIN), guide.find(END)
    if start < 0 or stop < start:
        return f"{guide}\n\n{text}" if guide.strip() else text
    return guide[:start] + text + guide[stop + len(END) :]


def _ids(gateway: Gateway, assignees: Sequence[int | str]) -> list[int]:
    names = {user.username: user.id for user in gateway.users()}
    unknown = [who for who in assignees if isinstance(who, str) and who not in names]
    if unknown:
        raise ConfigError(
            [
                f"assignees: CVAT shows us no user {who!r}; it shows {', '.join(sorted(names))}. "
                "Give the user's id instead, or let the bridge's account see the organization"
                for who in unknown
            ]
        )
    return [names[who] if isinstance(who, str) else who for who in assignees]
