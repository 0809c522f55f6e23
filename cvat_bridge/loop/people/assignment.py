"""Ranked jobs reach people: assignees in turn."""

from __future__ import annotations

from collections.abc import Sequence

from cvat_bridge.cvat.gateway import Gateway, User
from cvat_bridge.errors import ConfigError
from cvat_bridge.ledger.records import RankedJob
from cvat_bridge.settings import RoundSettings


def assign(
    gateway: Gateway, jobs: Sequence[RankedJob], *, settings: RoundSettings
) -> dict[int, str]:
    """Return the jobs to the assignees in turn, best first; return the user name by job id.

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


def put_in_order(gateway: Gateway, jobs: Sequence[RankedJob], *, settings: RoundSettings) -> None:
    """Touch existing jobs, the most valuable last, so that CVAT's pages can show their order.

    The jobs of a new task stand in order by their ids. Those that there were can be sorted by
    the date of their last change alone. A job that somebody has opened meanwhile keeps its date.
    """
    if settings.mode != "rank_existing":
        return
    for row in reversed(jobs):
        job = gateway.job(row.job_id)
        if job.state == "new":
            gateway.update_job(row.job_id, state="new")


def check_assignees(
    gateway: Gateway,
    *,
    settings: RoundSettings,
    organization: str | None,
    project_id: int | None = None,
) -> None:
    """Say before a round what `assign` would meet after it. Raises ConfigError.

    organization: its slug in the configuration, None for none. project_id: whose organization is
    then looked at, since CVAT shows its members in its own context alone. Outside an organization
    CVAT shows an ordinary user nobody else, and lets only administrators give a job to somebody
    else (403).
    """
    if not settings.assignees:
        return
    identity = gateway.identity()
    if organization is None and not identity.is_admin:
        others = [who for who in settings.assignees if not _is(who, identity.user)]
        home = gateway.project(project_id).organization if project_id is not None else None
        if others and home is not None:
            fault = (
                f"assignees: the project lives in organization {home}, and cvat.organization names "
                "none, so CVAT shows us none of its members. Set cvat.organization to its short "
                "name (`cvat-bridge init --force` finds it by itself)"
            )
            raise ConfigError([fault])
        if others:
            names = ", ".join(str(who) for who in others)
            fault = (
                f"assignees: {identity.user.username} is no administrator, and outside an "
                "organization CVAT lets only administrators look at other users and give jobs to "
                f"them ({names}). Move the project into an organization, invite them there and set "
                "cvat.organization; or use an administrator's token; or leave rounds.assignees "
                "empty, so that people take the jobs themselves"
            )
            raise ConfigError([fault])
    people = _ids(gateway, settings.assignees)
    shown = {user.id for user in gateway.users()} | {identity.user.id}
    if absent := [number for number in people if number not in shown]:
        raise ConfigError(
            [
                f"assignees: CVAT shows us no user with the id {number}; {_shown(gateway)}"
                for number in absent
            ]
        )


def _ids(gateway: Gateway, assignees: Sequence[int | str]) -> list[int]:
    """Return the id of each assignee; a text of digits is an id unless somebody has that name."""
    names = {user.username: user.id for user in gateway.users()}
    faults = []
    people: list[int] = []
    for who in assignees:
        if isinstance(who, int):
            people.append(who)
        elif who in names:
            people.append(names[who])
        elif who.isdecimal():
            people.append(int(who))
        else:
            faults.append(
                f"assignees: CVAT shows us no user {who!r}; {_shown(gateway)}. Correct the name, "
                "or invite that user into the project's organization"
            )
    if faults:
        raise ConfigError(faults)
    return people


def _is(who: int | str, user: User) -> bool:
    return who in (user.id, user.username, str(user.id))


def _shown(gateway: Gateway) -> str:
    return f"it shows {', '.join(sorted(user.username for user in gateway.users())) or 'nobody'}"
